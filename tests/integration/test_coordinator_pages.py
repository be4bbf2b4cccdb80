"""The coordinator's pages: signing in, and what each role sees and does there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2c2g.coordinator.keys import ApiKey, KeyRole, Scope
from p2c2g.messaging import open_names
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.messages import Beat, Enrolment, PeerState
from tests.coordinators import (
    ADDRESS,
    TESTER,
    Coordinator,
    add_principal,
    coordinator_settings,
    running,
)

OURS = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Coordinator]:
    with running(coordinator_settings(tmp_path, logins_per_minute=5)) as started:
        yield started


class Browser:
    """Someone at the coordinator's pages."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.client = coordinator.client
        self.client.cookies.clear()

    def sign_in(self, key: str, **headers: str) -> Any:
        return self.client.post(
            "/sign-in", data={"key": key}, headers=OURS | headers, follow_redirects=False
        )

    def see(self, path: str) -> Any:
        return self.client.get(path, follow_redirects=False)

    def send(self, path: str, fields: dict[str, str], token: str | None = None, **how: str) -> Any:
        """Send a form, as the page that holds it would."""
        if token is None:
            token = self.token()
        return self.client.post(
            path, data={"token": token, **fields}, headers=OURS | how, follow_redirects=False
        )

    def token(self) -> str:
        page = self.client.get("/", follow_redirects=True)
        found = re.search(r'name="token" value="(\w+)"', page.text)
        assert found is not None
        return found[1]


@pytest.fixture
def browser(coordinator: Coordinator) -> Browser:
    return Browser(coordinator)


def test_a_browser_signs_in_with_a_key_and_keeps_only_a_cookie(
    coordinator: Coordinator, browser: Browser
) -> None:
    key = coordinator.key(KeyRole.OPERATOR)
    answer = browser.sign_in(f" {key}\n")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    kept = r"__Host-p2c2g=\w{43}; HttpOnly; Max-Age=43200; Path=/; SameSite=strict; Secure"
    assert re.fullmatch(kept, cookie)
    assert key[6:] not in cookie
    assert browser.see("/").headers["location"] == "/pool"
    assert key[18:61] not in browser.see("/keys").text
    assert browser.send("/sign-out", {}).headers["location"] == "/sign-in"
    assert browser.see("/pool").headers["location"] == "/sign-in"


def test_signing_out_ends_the_cookie_also_for_who_has_a_copy(
    coordinator: Coordinator, browser: Browser
) -> None:
    browser.sign_in(coordinator.key(KeyRole.GAMER))
    kept = dict(browser.client.cookies)
    browser.send("/sign-out", {})
    browser.client.cookies.update(kept)
    assert browser.see("/mine").headers["location"] == "/sign-in"


def test_a_wrong_key_is_told_and_too_many_are_not_looked_at(
    coordinator: Coordinator, browser: Browser
) -> None:
    for key in ("", "x", ApiKey.new().text, "p2c2g_<b>", "\x00"):
        answer = browser.sign_in(key)
        assert answer.status_code == 401
        assert 'role="alert"' in answer.text
        assert "<b>" not in answer.text
        assert "set-cookie" not in answer.headers
    answer = browser.sign_in(coordinator.key(KeyRole.GAMER))
    assert (answer.status_code, "Too often" in answer.text) == (429, True)


@pytest.mark.parametrize("how", ["revoked", "expired", "over"])
def test_a_login_ends_with_its_key_or_before(
    coordinator: Coordinator, browser: Browser, how: str
) -> None:
    accounts = coordinator.services.accounts
    row, key = accounts.create_key(
        "ada", KeyRole.GAMER, TESTER, lifetime=60 if how == "expired" else None
    )
    browser.sign_in(key)
    assert browser.see("/mine").status_code == 200
    if how == "revoked":
        accounts.revoke(row.id, TESTER)
    coordinator.clock.now += {"revoked": 0, "expired": 60, "over": 12 * 3600}[how]
    assert browser.see("/mine").headers["location"] == "/sign-in"


# -- forms of other sites -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://other.pool.example"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_form_of_another_site_does_nothing(
    coordinator: Coordinator, browser: Browser, headers: dict[str, str]
) -> None:
    key = coordinator.key(KeyRole.OPERATOR)
    assert browser.sign_in(key, **headers).status_code == 403
    browser.sign_in(key)
    row = coordinator.services.accounts.list_keys()[0]
    assert browser.send(f"/keys/{row.id}/revoke", {}, **headers).status_code == 403
    assert browser.see("/pool").status_code == 200


@pytest.mark.parametrize("token", ["", "0" * 64, "ä"])
def test_a_form_without_the_logins_token_does_nothing(
    coordinator: Coordinator, browser: Browser, token: str
) -> None:
    browser.sign_in(coordinator.key(KeyRole.OPERATOR))
    row = coordinator.services.accounts.list_keys()[0]
    assert browser.send(f"/keys/{row.id}/revoke", {}, token=token).status_code == 403
    assert browser.see("/pool").status_code == 200


def test_a_token_of_another_login_is_none(coordinator: Coordinator, browser: Browser) -> None:
    browser.sign_in(coordinator.key(KeyRole.OPERATOR, "eve"))
    hers = browser.token()
    browser.sign_in(coordinator.key(KeyRole.OPERATOR, "olga"))
    assert browser.send("/keys", {"account": "x", "role": "gamer"}, token=hers).status_code == 403


def test_the_audit_log_is_for_people(coordinator: Coordinator, browser: Browser) -> None:
    accounts = coordinator.services.accounts
    accounts.create_key("ada", KeyRole.PEER, TESTER, lifetime=60.0)
    peer = add_principal(coordinator.services, "peer", "ada")
    accounts.revoke(coordinator.services.pool.principal(peer).key_id, TESTER)
    browser.sign_in(coordinator.key(KeyRole.OPERATOR))
    told = browser.see("/audit").text
    assert re.search(r"expires \d{4}-\d\d-\d\d \d\d:\d\d UTC", told)
    assert f"principals {peer}<" in told


# -- roles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [KeyRole.GAMER, KeyRole.PEER])
def test_only_operators_see_the_pool_keys_and_audit_log_and_change_them(
    coordinator: Coordinator, browser: Browser, role: KeyRole
) -> None:
    other = "bob@far"  # No id or token, which are by chance, has an @.
    peer = add_principal(coordinator.services, "peer", other)
    browser.sign_in(coordinator.key(role, "ada"))
    for path in ("/pool", f"/pool/{peer}", "/keys", "/audit"):
        assert browser.see(path).status_code == 403
    for path, fields in (
        (f"/pool/{peer}/ban", {"reason": "x"}),
        (f"/pool/{peer}/unban", {}),
        (f"/pool/{peer}/drain", {}),
        (f"/pool/{peer}/resume", {}),
        ("/keys", {"account": "ada", "role": "operator"}),
    ):
        assert browser.send(path, fields).status_code == 403
    operators, _ = coordinator.services.accounts.create_key("ada", KeyRole.OPERATOR, TESTER)
    for row in coordinator.services.accounts.list_keys():
        if row.account.name == other or row.id == operators.id:
            assert browser.send(f"/keys/{row.id}/revoke", {}).status_code == 403
    assert other not in browser.see("/mine").text


def test_an_operator_with_fewer_scopes_can_do_less(
    coordinator: Coordinator, browser: Browser
) -> None:
    peer = add_principal(coordinator.services, "peer", "bob")
    browser.sign_in(coordinator.key(KeyRole.OPERATOR, scopes={Scope.POOL_READ}))
    assert browser.see("/pool").status_code == 200
    assert browser.see("/keys").status_code == browser.see("/audit").status_code == 403
    assert browser.send(f"/pool/{peer}/ban", {"reason": "x"}).status_code == 403


def test_an_operator_bans_with_reason_and_evidence_and_the_lender_reads_the_reason(
    coordinator: Coordinator, browser: Browser
) -> None:
    peer = add_principal(coordinator.services, "peer", "bob", label="attic")
    browser.sign_in(coordinator.key(KeyRole.OPERATOR, "olga"))
    why = {"reason": "Lies <script>alert(1)</script>", "evidence": "frame 7\r\nchunk 3 & more"}
    answer = browser.send(f"/pool/{peer}/ban", why)
    assert answer.headers["location"] == f"/pool/{peer}"
    shown = browser.see(f"/pool/{peer}").text
    assert "frame 7\nchunk 3 &amp; more" in shown
    assert "<script" not in shown
    row = coordinator.services.pool.principal(peer)
    assert (row.is_welcome, row.ban_reason) == (False, why["reason"])
    assert "peer.ban" in browser.see("/audit").text
    empty = browser.send(f"/pool/{peer}/ban", {"reason": "\x07"})
    assert (empty.status_code, "reason cannot be used" in empty.text) == (400, True)
    browser.sign_in(coordinator.key(KeyRole.PEER, "bob"))
    hers = browser.see("/mine").text
    assert "Lies &lt;script&gt;" in hers
    assert "frame 7" not in hers
    browser.sign_in(coordinator.key(KeyRole.OPERATOR, "olga"))
    browser.send(f"/pool/{peer}/unban", {})
    assert browser.send(f"/pool/{peer}/unban", {}).status_code == 400
    browser.send(f"/pool/{peer}/drain", {})
    assert "Have it work again" in browser.see(f"/pool/{peer}").text
    assert coordinator.services.pool.principal(peer).draining


def test_a_new_key_is_shown_once(coordinator: Coordinator, browser: Browser) -> None:
    browser.sign_in(coordinator.key(KeyRole.OPERATOR))
    fields = {"account": "carol", "role": "peer", "days": "30", "uses": "2", "label": "her PC"}
    made = browser.send("/keys", fields)
    (key,) = re.findall(r"p2c2g_[0-9A-Za-z]{61}", made.text)
    assert coordinator.services.accounts.identify(key).account == "carol"
    assert key not in browser.see("/keys").text
    wrong = browser.send("/keys", fields | {"account": "<carol>"})
    assert (wrong.status_code, "account cannot be used" in wrong.text) == (400, True)


def test_who_lends_sees_the_rank_of_a_machine_that_works(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with running(coordinator_settings(tmp_path, broker=broker.url)) as started:
        client = started.services.broker.client
        client.flushall()
        ids = [
            add_principal(started.services, "peer", account) for account in ("ada", "bob", "eve")
        ]
        gamer = add_principal(started.services, "gamer", "ada", label="evening")
        for id_, served in zip(ids, (4, 9, 1), strict=True):
            enrolment = Enrolment(id=id_, instance="i", queues=("cpu",), slots=2, interval=0.5)
            beat = Beat(instance="i", state=PeerState.READY, served=served, seconds_per_chunk=0.012)
            client.set(open_names.enrolment(id_), enrolment.model_dump_json())
            client.set(open_names.beat(id_), beat.model_dump_json())
        client.set(open_names.beat(ids[2]), b"\xff" * 3_000)  # Strangers' words.
        client.rpush(f"p2c2g:{open_names.chunks_queue(ids[0], gamer)}", "a", "b")
        browser = Browser(started)
        browser.sign_in(started.key(KeyRole.PEER, "ada"))
        mine = re.sub(r"<[^>]*>|\s+", " ", browser.see("/mine").text)
        assert re.search(r"ready +8\.0 +12\.0 +0 +0 +2 of 2", mine)
        assert "evening" in mine
        browser.sign_in(started.key(KeyRole.OPERATOR))
        pool = re.sub(r"<[^>]*>|\s+", " ", browser.see("/pool").text)
        assert re.search(
            r"2 *peers that beat +1 *session +26\.0 *chunks a second +2 *chunks waiting", pool
        )
        client.set(open_names.beat(ids[1]), b"x" * 50)
        assert "no beat" in browser.see(f"/pool/{ids[1]}").text


def test_without_a_broker_pages_say_so(coordinator: Coordinator, browser: Browser) -> None:
    add_principal(coordinator.services, "peer", "bob")
    browser.sign_in(coordinator.key(KeyRole.OPERATOR))
    pool = browser.see("/pool").text
    assert "broker does not answer: who is there is not known" in pool
    assert "this process does alone" in pool  # among the errors


def test_pages_work_in_a_folder_of_a_proxys(tmp_path: Path) -> None:
    with running(coordinator_settings(tmp_path, root_path="/pool")) as started:
        browser = Browser(started)
        asked = browser.sign_in(started.key(KeyRole.OPERATOR))
        assert asked.headers["location"] == "/pool/"
        page = browser.see("/pool/keys").text
        assert 'href="/pool/static/pages.css"' in page
        assert 'action="/pool/keys"' in page
        assert 'aria-current="page">Keys' in page


@pytest.mark.parametrize("path", ["/pool/%00", "/pool/..%2fx", "/audit?before=x", "/static/x.py"])
def test_odd_addresses_are_answered_with_a_page(
    coordinator: Coordinator, browser: Browser, path: str
) -> None:
    browser.sign_in(coordinator.key(KeyRole.OPERATOR))
    answer = browser.see(path)
    assert answer.status_code in (404, 422)
    assert "Traceback" not in answer.text
