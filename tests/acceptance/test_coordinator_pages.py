"""The coordinator's pages in a browser: sizes, light and dark, what axe finds, keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from p2c2g.coordinator.audit import Actor
from p2c2g.coordinator.keys import KeyRole
from p2c2g.coordinator.models import EvidenceRow, PrincipalRow
from p2c2g.coordinator.services import Services
from p2c2g.messaging import names, open_names
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.messages import Beat, Enrolment, PeerState
from p2c2g.verify.evidence import Finding
from tests.coordinators import add_principal, coordinator_settings, opened_database

from .browser import PATIENCE
from .conftest import Command

SIZES = {"desktop": (1280, 800), "phone": (390, 844)}

PEERS = [("ada", "attic"), ("ada", "cellar"), ("bob", "workshop"), ("eve", "a rather long name")]
#: The pages of each role; the last peer is the one that is banned.
PAGES = {
    "gamer": ("/mine",),
    "peer": ("/mine",),
    "operator": ("/pool", "/pool/{banned}", "/pool/{peer}", "/keys", "/audit"),
}


@dataclass(frozen=True)
class Site:
    """A coordinator that runs, and what is in it."""

    address: str
    keys: dict[str, str]
    ids: dict[str, str]

    def at(self, path: str) -> str:
        return self.address + path.format(**self.ids)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("coordinator")
    with EmbeddedBroker() as broker:
        with opened_database(coordinator_settings(data, broker=broker.url), time) as services:
            keys, ids = filled(services)
        with running(broker, data) as address:
            yield Site(address, keys, ids)


@contextmanager
def running(broker: EmbeddedBroker, data: Path, *words: str) -> Iterator[str]:
    """Run a coordinator, and give its address."""
    command = Command(
        ("p2c2g", "coordinator", "run", "--port=0", *words),
        P2C2G_COORDINATOR_DATA=str(data),
        P2C2G_BROKER_URL=broker.url,
        PYTHONUNBUFFERED="1",
    )
    try:
        yield command.line_with("The coordinator is at").split()[-1]
    finally:
        command.kill()


@pytest.fixture(scope="module")
def own_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The coordinator of a pool of one's own, with a peer of each state and one that is banned."""
    data = tmp_path_factory.mktemp("own")
    actor = Actor("local:olga", "", "198.51.100.7")
    with EmbeddedBroker() as broker:
        with opened_database(coordinator_settings(data, broker=broker.url), time) as services:
            key = services.accounts.create_key("ada", KeyRole.OPERATOR, actor, label="desk")[1]
            client = services.broker.client
            for state in PeerState:
                id_ = f"{state.value}@a-machine-with-a-rather-long-name"
                enrolment = Enrolment(id=id_, instance="i", queues=("cpu",), slots=2, name="attic")
                beat = Beat(instance="i", state=state, served=40, seconds_per_chunk=0.0123)
                client.hset(names.peers(), id_, enrolment.model_dump_json())
                client.set(names.beat(id_), beat.model_dump_json())
            client.hset(names.banned(), id_, "Wrong pictures on canaries")
        with running(broker, data, "--own-pool") as address:
            yield Site(address, {"operator": key}, {})


def filled(services: Services) -> tuple[dict[str, str], dict[str, str]]:
    """Fill a pool; return a key of each role, and the ids of two peers."""
    actor = Actor("local:olga", "", "198.51.100.7")
    client = services.broker.client
    ids: dict[str, str] = {}
    for number, (account, label) in enumerate(PEERS):
        id_ = add_principal(services, "peer", account, label=label, network=f"net-{number}")
        enrolment = Enrolment(id=id_, instance="i", queues=("cpu",), slots=2)
        state = PeerState.PAUSED if number == 2 else PeerState.READY
        beat = Beat(
            instance="i", state=state, served=40 - 9 * number, seconds_per_chunk=0.0123,
            in_flight=2, load=0.4,
        )  # fmt: skip
        client.set(open_names.enrolment(id_), enrolment.model_dump_json())
        client.set(open_names.beat(id_), beat.model_dump_json())
        ids.setdefault("peer", id_)
        ids["banned"] = id_
    evidence = "frame 1201, chunk 3\nframe 1310, chunk 0"
    services.pool.ban(id_, "Wrong pictures on canaries", evidence, actor)
    gamer = add_principal(services, "gamer", "ada", label="evening", expires=time() + 600)
    with services.database.writing() as session:
        account = session.get_one(PrincipalRow, gamer).account_id
        for number, finding in enumerate(Finding):
            session.add(EvidenceRow(
                id=f"{number:064}", peer_id=id_, gamer_id=gamer, account_id=account, at=time(),
                finding=finding.value, text="{}",
                said="CheckError: a residual does not belong to its chunk: it changes 1.2 times "
                "as much as may be.",
            ))  # fmt: skip
    return {
        role.value: services.accounts.create_key("ada", role, actor, label="desk")[1]
        for role in KeyRole
    }, ids


@pytest.fixture
def visit(browser: Browser) -> Iterator[Any]:
    """Open a page of a size, in light or dark; a test fails where it breaks its own policy."""
    contexts, problems = [], []

    def begin(size: str = "desktop", scheme: Any = "dark") -> Page:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        return page

    yield begin
    for context in contexts:
        context.close()
    # A refused key is told so by its status, which Chromium writes down.
    assert [problem for problem in problems if "401" not in problem] == []


def sign_in(page: Page, site: Site, role: str) -> None:
    page.goto(site.at("/"))
    expect(page).to_have_url(site.at("/sign-in"))
    # The field has the focus, once the page is drawn: a key and Return are all it takes.
    expect(page.get_by_label("Your key")).to_be_focused()
    page.keyboard.type(site.keys[role])
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def check_look(page: Page, picture: Path) -> None:
    """Check that a page fits its window, and by axe that all can read and use it."""
    page.screenshot(path=picture, full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
    found = Axe().run(page)
    assert "color-contrast" in {rule["id"] for rule in found.response["passes"]}
    assert found.violations_count == 0, f"{page.url}: {found.generate_report()}"


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_can_be_read_at_every_size_in_light_and_dark(
    site: Site, visit: Any, tmp_path: Path, size: str, scheme: str
) -> None:
    page = visit(size, scheme)
    page.goto(site.at("/sign-in"))
    check_look(page, tmp_path / f"sign-in-{size}-{scheme}.png")
    expect(page.get_by_label("Your key")).to_be_focused()
    page.keyboard.type("p2c2g_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no key of this coordinator")
    check_look(page, tmp_path / f"wrong-{size}-{scheme}.png")
    for role, paths in PAGES.items():
        page.context.clear_cookies()
        sign_in(page, site, role)
        for path in paths:
            page.goto(site.at(path))
            expect(page.get_by_role("heading", level=1).first).to_be_visible()
            name = f"{role}{path.replace('/', '-').strip('{}')}"
            check_look(page, tmp_path / f"{name}-{size}-{scheme}.png")


@pytest.mark.needs("chromium")
def test_the_page_of_an_own_pool_can_be_read_too(
    own_site: Site, visit: Any, tmp_path: Path
) -> None:
    for size in SIZES:
        for scheme in ("light", "dark"):
            page = visit(size, scheme)
            sign_in(page, own_site, "operator")
            page.goto(own_site.at("/pool"))
            for state in ("banned", "paused", "ready"):
                expect(page.get_by_text(state, exact=True)).to_be_visible()
            check_look(page, tmp_path / f"own-pool-{size}-{scheme}.png")


@pytest.mark.needs("chromium")
def test_an_operator_bans_and_lets_in_again_by_the_keyboard_alone(site: Site, visit: Any) -> None:
    page = visit()
    sign_in(page, site, "operator")
    tab_to(page, "attic")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Peer attic")
    tab_to(page, "Reason, which the banned one reads")
    page.keyboard.type("Late at night")
    page.keyboard.press("Tab")
    page.keyboard.type("its owner said so")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Banned")).to_be_visible()
    expect(page.get_by_text("its owner said so")).to_be_visible()
    tab_to(page, "Let it in again")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Ban", exact=True)).to_be_visible()


@pytest.mark.needs("chromium")
def test_a_new_key_signs_in_and_ends_where_it_is_revoked(site: Site, visit: Any) -> None:
    page = visit()
    sign_in(page, site, "operator")
    page.get_by_role("link", name="Keys").click()
    page.get_by_label("Account").fill("carol")
    page.get_by_label("Role").select_option("peer")
    page.get_by_role("button", name="Make a key").click()
    key = page.get_by_label("The new key").inner_text()
    other = visit("phone")
    sign_in(other, Site(site.address, {"peer": key}, {}), "peer")
    expect(other.get_by_text("None of your machines")).to_be_visible()
    other.get_by_role("button", name=f"Revoke {key[6:18]}").click()
    expect(other).to_have_url(site.at("/sign-in"))


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has the focus is called so, and shows that it has it."""
    page.wait_for_load_state("load")  # with its style
    for _ in range(40):
        page.keyboard.press("Tab")
        called, outline = page.evaluate(
            "(it => [(it.labels?.[0] || it).textContent.trim(), getComputedStyle(it).outlineStyle])"
            "(document.activeElement)"
        )
        assert outline == "solid", called
        if called.startswith(name):
            return
    raise AssertionError(f"Tab does not come to {name!r}")
