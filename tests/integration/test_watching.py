"""Watching a session from elsewhere, by its pool's coordinator: over real sockets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from p2c2g.coordinator import sockets
from p2c2g.joining import watching
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.settings.membership import Membership
from tests.watched import TOKEN, Playing, Site, opened, playing, serving
from tests.watchers import PATIENCE, STATS, Client, Message, drawable, picture


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with EmbeddedBroker() as broker, serving(tmp_path_factory.mktemp("pool"), broker.url) as site:
        yield site


@pytest.fixture
def session(site: Site) -> Iterator[Playing]:
    with playing(site.join()) as started:
        yield started


def until(client: Client, **figures: Any) -> dict[str, Any]:
    """Read until a viewer's figures are these."""
    while True:
        told = client.next_stats().get("watching")
        if told is not None and figures.items() <= told.items():
            return dict(told)


def first(session: Playing, client: Client, number: int = 1, **how: Any) -> Message:
    """Publish a picture, and return it as it comes to a viewer."""
    session.hub.publish(drawable(number, **how))
    return client.next_picture()


# -- what is shown --------------------------------------------------------------------------------


def test_a_viewer_is_shown_what_the_session_shows(site: Site, session: Playing) -> None:
    with site.viewer(session.id) as client:
        message = first(session, client)
        assert (message.number, message.header["media_type"]) == (1, "image/jpeg")
        assert message.image(message.header["own"]).shape == (180, 320, 3)
        assert len(message.header["residuals"]) == 2
        while client.next_stats() != STATS:
            pass


def test_terms_come_before_what_is_made_by_them(site: Site, session: Playing) -> None:
    with site.viewer(session.id) as client:
        session.hub.publish(drawable(1))
        assert client.next_terms()["output"] == [640, 360]
        assert client.next_picture().number == 1
    with site.viewer(session.id) as late:
        assert late.next_terms()["output"] == [640, 360]
        assert late.next_picture().number == 1


def test_who_cannot_draw_gets_pictures_and_their_base_where_wanted(
    site: Site, session: Playing
) -> None:
    with site.viewer(session.id, draws=False) as client:
        message = first(session, client)
        assert message.image(message.header["picture"]).shape == (360, 640, 3)
        assert message.header["base"] is None
        client.answer(1)
        client.wish(base=True)
        while (message := client.next_picture()).header["base"] is None:
            pass
        assert message.image(message.header["base"]).shape == (360, 640, 3)


def test_what_no_browser_can_make_comes_as_a_picture(site: Site, session: Playing) -> None:
    from p2c2g.media.residual import Form

    with site.viewer(session.id, draws=True) as client:
        message = first(session, client, form=Form("jpeg", 75, in_colour=True))
        assert "picture" in message.header


def test_without_viewers_nothing_is_sent(site: Site, session: Playing) -> None:
    for number in range(5):
        session.hub.publish(drawable(number))
    with site.viewer(session.id) as client:
        assert client.next_picture().number == 4
        client.answer(4)
        # It is counted once it has left, which may be after it came.
        while not (sent := session.relay.figures()["sent"]):
            client.next_stats()
    assert sent == 1


def test_answers_say_what_was_shown_and_how_long_it_took(site: Site, session: Playing) -> None:
    with site.viewer(session.id) as client:
        for number in range(1, 4):
            first(session, client, number)
            client.connection.send(json.dumps({"shown": number, "after_ms": 2}))
        figures = until(client, shown=3, viewers=1, skipped=0)
        assert 0 < figures["delay_ms"][0] <= figures["delay_ms"][1]
        assert figures["way_ms"] >= 0
        assert first(session, client, 4).number == 4
        client.answer(4, "failed")
        until(client, sent=4, shown=3)
        while (figures := session.relay.figures())["failed"] != 1:
            client.next_stats()
    assert figures["shown"] == 3
    assert (figures["most"], figures["sent"]) == (1, 4)
    assert figures["delay_ms"][0] > 0


# -- the slow and the fast ------------------------------------------------------------------------


def test_slow_viewers_miss_pictures_and_no_other_does(site: Site, session: Playing) -> None:
    pictures = 40
    with ExitStack() as stack:
        slow, fast = (
            [stack.enter_context(site.viewer(session.id)) for _ in range(many)] for many in (3, 9)
        )
        for client in (*slow, *fast):
            until(client, viewers=12)
        for number in range(pictures):
            session.hub.publish(drawable(number))
            for client in fast:
                assert client.next_picture().number == number
                client.answer(number)
        for client in fast:
            until(client, shown=pictures, skipped=0)
        for client in slow:
            assert [client.next_picture().number for _ in range(2)] == [0, 1]
            # Figures from before the last picture may still be on their way.
            until(client, sent=2, skipped=pictures - 3)
            client.answer(1)
            assert client.next_picture().number == pictures - 1


def test_who_is_one_too_many_is_told_so(tmp_path: Path) -> None:
    with (
        EmbeddedBroker() as broker,
        serving(tmp_path, broker.url, watchers_per_session=1) as site,
        playing(site.join()) as session,
        site.viewer(session.id) as client,
    ):
        until(client, viewers=1)
        with opened(site.socket(session.id)) as other:
            assert told(other) == (1013, "1 viewers watch this session already.")


# -- who may --------------------------------------------------------------------------------------


def ended(client: Client) -> tuple[int, str]:
    closed = client.closing()
    assert closed.rcvd is not None
    return closed.rcvd.code, closed.rcvd.reason


def refused(address: str, **how: Any) -> int:
    """Return why a socket does not open."""
    with pytest.raises(InvalidStatus) as info, opened(address, **how):
        pass
    return info.value.response.status_code


def cookies(browser: httpx.Client, site: Site) -> dict[str, str]:
    """Return the headers of a browser's socket."""
    sent = "; ".join(f"{each.name}={each.value}" for each in browser.cookies.jar)
    return {"Cookie": sent, "Origin": site.address}


def test_the_link_lets_in_and_its_token_becomes_a_cookie_of_that_page(
    site: Site, session: Playing
) -> None:
    assert session.relay.url == f"{site.page(session.id)}?token={TOKEN}"
    with site.browser() as browser:
        answer = browser.get(session.relay.url)
        assert (answer.status_code, answer.headers["location"]) == (303, "./")
        kept = answer.headers["set-cookie"].lower()
        assert "httponly" in kept
        assert "samesite=lax" in kept
        assert f"path=/s/{session.id}/" in kept
        page = browser.get(site.page(session.id))
        assert page.status_code == 200
        assert TOKEN not in page.text
        for part in ("viewer.js", "viewer.css", "favicon.svg", "stage.js"):
            assert browser.get(f"/s/{session.id}/{part}").status_code == 200
        assert browser.post(f"/s/{session.id}/check").text == "Welcome.\n"
        headers = cookies(browser, site)
        with site.viewer(session.id, "", additional_headers=headers) as client:
            assert first(session, client).number == 1
        without = browser.get(f"/s/{session.id}?token={TOKEN}")
        assert without.headers["location"] == f"/s/{session.id}/?token={TOKEN}"


@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=" + "0" * 64])
def test_without_the_right_token_nobody_watches(site: Site, session: Playing, query: str) -> None:
    somewhere = "k3v9m2x8q1w7e5r4t6y0"
    with site.browser() as browser:
        pages = [browser.get(f"/s/{each}/{query}") for each in (session.id, somewhere)]
        assert [page.status_code for page in pages] == [401, 401]
        # Nobody can tell by it which sessions there are.
        assert pages[0].text == pages[1].text
        assert "asks for a token" in pages[0].text
        check = browser.post(f"/s/{session.id}/check{query}")
        assert (check.status_code, check.text[:12]) == (401, "This viewer ")
        assert browser.get(f"/s/{session.id}/../x").status_code == 303
    assert refused(site.socket(session.id, query)) == 401
    assert refused(site.socket("..", query)) in (401, 404)


def test_the_token_of_one_session_is_none_of_another(site: Site, session: Playing) -> None:
    membership = site.join("bob")
    assert refused(site.socket(membership.id)) == 401


def test_the_account_watches_by_having_signed_in_and_another_does_not(site: Site) -> None:
    with playing(site.join("carol")) as session:
        for account, role, status in (
            ("carol", "gamer", 200), ("carol", "peer", 200), ("dave", "gamer", 401),
            ("dave", "peer", 401),
        ):  # fmt: skip
            with site.browser(site.key(account, role)) as browser:
                assert browser.get(f"/s/{session.id}/").status_code == status
                headers = cookies(browser, site)
                if status == 401:
                    assert refused(site.socket(session.id, ""), additional_headers=headers) == 401
                    continue
                with site.viewer(session.id, "", additional_headers=headers) as client:
                    until(client, viewers=1)


def test_an_operator_may_watch_and_that_is_written_down(site: Site, session: Playing) -> None:
    with site.browser(site.operator) as browser:
        headers = cookies(browser, site)
        with site.viewer(session.id, "", additional_headers=headers) as client:
            until(client, viewers=1)
    rows = httpx.get(
        f"{site.address}/v1/audit",
        headers={"Authorization": f"Bearer {site.operator}"},
        trust_env=False,
        timeout=PATIENCE,
    ).text
    assert "gamer.watch" in rows
    assert session.id in rows


def test_a_page_of_another_site_cannot_watch_in_a_browsers_name(
    site: Site, session: Playing
) -> None:
    address = site.socket(session.id)
    for origin in ("https://evil.example", "null", "http://", "http://["):
        assert refused(address, origin=origin) == 403
    with site.viewer(session.id, origin=site.address) as client:  # type: ignore[arg-type]
        until(client, viewers=1)


def test_who_counts_no_more_is_cut_off(
    site: Site, session: Playing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "AGAIN", 0.05)
    bearer = {"Authorization": f"Bearer {site.operator}"}
    key = site.key("ada")
    with site.browser(key) as browser:
        headers = cookies(browser, site)
        with site.viewer(session.id, "", additional_headers=headers) as client:
            until(client, viewers=1)
            id_ = key.removeprefix("p2c2g_")[:12]
            where = f"{site.address}/v1/keys/{id_}"
            httpx.delete(where, headers=bearer, trust_env=False, timeout=PATIENCE)
            assert ended(client)[0] == 1008
    with playing(site.join("eve")) as other, site.viewer(other.id) as client:
        until(client, viewers=1)
        said = {"reason": "It floods."}
        httpx.post(
            f"{site.address}/v1/principals/{other.id}/ban", json=said, headers=bearer,
            trust_env=False, timeout=PATIENCE,
        ).raise_for_status()  # fmt: skip
        assert ended(client) == (1013, "The way to the session is lost.")


def test_a_gamers_page_leads_to_what_can_be_watched(site: Site) -> None:
    other = site.join("frank")
    with (
        playing(site.join("frank")) as session,
        site.viewer(session.id) as client,
        site.browser(site.key("frank")) as browser,
    ):
        assert first(session, client).number == 1
        client.answer(1)
        until(client, shown=1)
        page = browser.get("/mine").text
        assert f'<a href="/s/{session.id}/">' in page
        assert f"/s/{other.id}/" not in page
        assert re.search(r">1</td>\s*<td class=\"number\">1</td>", page)


# -- how it ends ----------------------------------------------------------------------------------


def test_a_session_that_ends_while_it_is_told_something_says_so(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "FIGURES_INTERVAL", 0.001)
    membership = site.join("ivy")
    for _ in range(20):
        with playing(membership) as session, site.viewer(session.id) as client:
            until(client, viewers=1)
            session.relay.close()
            assert ended(client) == (1001, "The session has ended.")


def test_a_session_that_ends_says_so_and_its_page_still_does(site: Site, session: Playing) -> None:
    with site.viewer(session.id) as client:
        until(client, viewers=1)
        session.relay.close()
        assert ended(client) == (1001, "The session has ended.")
    with opened(site.socket(session.id)) as late:
        code, reason = told(late)
    assert code == 1001
    assert "has ended" in reason
    assert session.said == []


# -- strangers' words -----------------------------------------------------------------------------


def upstream(site: Site, token: str) -> Any:
    return opened(
        site.address.replace("http", "ws", 1) + watching.UPSTREAM,
        additional_headers={"Authorization": f"Bearer {token}"},
    )


def told(connection: ClientConnection) -> tuple[int, str]:
    """Read to the end, and return how it ended."""
    return ended(Client(connection))


HELLO = json.dumps({"v": 1, "digest": "0" * 64})
COMING = json.dumps({"number": 1, "size": 10, "to": ["drawn"]})


def token_of(membership: Membership) -> str:
    return membership.token.get_secret_value()


@pytest.mark.parametrize(
    "words",
    [
        ["{}"],
        [b"x"],
        ['{"v": 1, "digest": "x"}'],
        [HELLO, "{}"],
        [HELLO, "[" * 5_000],
        [HELLO, '{"stats": 1}'],
        [HELLO, b"x"],
        [HELLO, COMING, b""],
        [HELLO, COMING, b"x" * 11],
        [HELLO, COMING, COMING],
        [HELLO, json.dumps({"number": 1, "size": 2**30, "to": []})],
        [HELLO, json.dumps({"number": -1, "size": 1, "to": []})],
    ],
    ids=lambda words: repr(words[-1])[:30],
)
def test_what_is_no_word_of_a_session_ends_it(site: Site, words: list[Any]) -> None:
    with upstream(site, token_of(site.join("mallory"))) as connection:
        for word in words:
            connection.send(word)
        assert told(connection)[0] == 1008


def test_a_message_that_is_too_long_is_not_taken(site: Site) -> None:
    with upstream(site, token_of(site.join("mallory"))) as connection:
        connection.send("x" * (sockets.WS_MAX_SIZE + 1))
        assert told(connection)[0] == 1009


@pytest.mark.parametrize(
    "word", ["x", "{}", b"x", '{"shown": 1, "after_ms": -1}', '{"shown": "1"}']
)
def test_what_is_no_word_of_a_viewer_ends_it(site: Site, session: Playing, word: Any) -> None:
    with site.viewer(session.id) as client:
        client.connection.send(word)
        assert ended(client)[0] == 1008


def test_only_a_gamers_membership_can_be_watched(site: Site) -> None:
    for token in ("", "x", "k3v9m2x8q1w7e5r4t6y0.x", site.key("ada"), site.operator):
        address = site.address.replace("http", "ws", 1) + watching.UPSTREAM
        headers = {"Authorization": f"Bearer {token}"}
        assert refused(address, additional_headers=headers) == 401


def test_pictures_for_who_cannot_draw(site: Site, session: Playing) -> None:
    with site.viewer(session.id, draws=False) as client:
        until(client, viewers=1)
        session.hub.publish(picture(3))
        assert client.next_picture().number == 3
