"""Releases at the coordinator: who publishes, who is offered what, and what stops one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2c2g.coordinator import keys, releases
from p2c2g.coordinator.accounts import ForbiddenError, NotFoundError
from p2c2g.coordinator.keys import KeyRole
from p2c2g.coordinator.models import PrincipalRow, WheelRow
from p2c2g.coordinator.releases import Releases
from p2c2g.errors import UsageError
from p2c2g.updating.acceptance import Own, Trusted, decide
from p2c2g.updating.manifest import MAX_OFFER, Offer, Report, Result
from p2c2g.updating.signing import signed
from p2c2g.updating.staging import is_chosen
from tests.coordinators import (
    TESTER,
    Coordinator,
    add_principal,
    coordinator_settings,
    running,
)
from tests.releases import DAY, change, manifest, release_key, wheel

SECRET = "s3cret"


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Coordinator]:
    with running(coordinator_settings(tmp_path)) as started:
        yield started


@pytest.fixture
def on_either(tmp_path: Path, database_url: str | None) -> Iterator[Coordinator]:
    """Run one over each kind of database."""
    with running(coordinator_settings(tmp_path, database_url)) as started:
        releases_of(started).pin(release_key().public, TESTER)
        yield started


def releases_of(coordinator: Coordinator) -> Releases:
    services = coordinator.services
    return Releases(services.database, services.audit, services.clock)


def publish(coordinator: Coordinator, version: str, serial: int, **fields: Any) -> None:
    """Publish a release of one wheel, whose bytes are its name and version."""
    said = manifest(version, serial, issued=coordinator.clock.now - 1, **fields)
    data = f"p2c2g {version}".encode()
    releases_of(coordinator).publish(signed(said, release_key()), {said.main.name: data}, TESTER)


@pytest.fixture
def pinned(coordinator: Coordinator) -> Coordinator:
    releases_of(coordinator).pin(release_key().public, TESTER)
    return coordinator


def member(coordinator: Coordinator, account: str = "lender", role: str = "peer") -> str:
    """Let one in; return the token of its membership."""
    services = coordinator.services
    id_ = add_principal(services, role, account)
    token = f"{id_}.{SECRET}"
    with services.database.writing() as session:
        row = session.get_one(PrincipalRow, id_)
        row.digest = keys.digest(services.secret.key("tokens"), token)
        row.expires = None if role == "peer" else services.clock() + 300
    return token


def tell(coordinator: Coordinator, token: str, result: Result, serial: int = 1) -> Any:
    said = Report(serial=serial, version="0.2.0", result=result, why="so it is.")
    return coordinator.ask("POST", "/v1/release/report", token, json=said.model_dump(mode="json"))


def test_a_peer_is_offered_what_was_signed_and_gets_its_wheel(on_either: Coordinator) -> None:
    token = member(on_either)
    empty = on_either.ask("GET", "/v1/release", token)
    assert empty.json() == {"changes": [], "manifest": None}
    publish(on_either, "0.2.0", 1)
    answer = on_either.ask("GET", "/v1/release", token)
    offer = Offer.model_validate_json(answer.content)
    trusted = Trusted.at_first(releases_of(on_either).public_key())
    own = Own(token.partition(".")[0], "0.1.0", "3.11.2")
    decision = decide(offer, trusted, own, on_either.clock.now)
    assert decision.wanted
    assert decision.manifest is not None
    given = on_either.ask("GET", f"/v1/release/wheels/{decision.manifest.main.sha256}", token)
    assert given.content == b"p2c2g 0.2.0"
    assert given.headers["content-length"] == "11"
    assert tell(on_either, token, Result.GOOD).json() == {"stopped": False}


def test_releases_are_for_peers_alone(pinned: Coordinator) -> None:
    publish(pinned, "0.2.0", 1)
    gamer, peer = member(pinned, "ada", "gamer"), member(pinned)
    wheels = f"/v1/release/wheels/{wheel().sha256}"
    for path in ("/v1/release", wheels):
        assert pinned.ask("GET", path, gamer).status_code == 403
    assert tell(pinned, gamer, Result.FAILED).status_code == 403
    pinned.services.pool.ban(peer.partition(".")[0], "Wrong pictures", "", TESTER)
    assert pinned.ask("GET", "/v1/release", peer).status_code == 403


def test_what_failed_at_too_many_is_offered_to_nobody_else(on_either: Coordinator) -> None:
    publish(on_either, "0.2.0", 1)
    first, second, third = (member(on_either, name) for name in ("ada", "bob", "cleo"))
    assert tell(on_either, first, Result.FAILED).json() == {"stopped": False}
    assert tell(on_either, first, Result.FAILED).json() == {"stopped": False}  # One is one.
    assert tell(on_either, third, Result.GOOD).json() == {"stopped": False}
    assert tell(on_either, second, Result.FAILED).json() == {"stopped": True}
    assert on_either.ask("GET", "/v1/release", third).json()["manifest"] is None
    operator = on_either.key(KeyRole.OPERATOR, "boss")
    (shown,) = on_either.ask("GET", "/v1/releases", operator).json()
    assert (shown["good"], shown["failed"], shown["why"]) == (1, 2, ["so it is."])
    assert shown["stop_reason"] == "2 of the last 3 machines went back from it."
    with on_either.services.database.reading() as session:
        rows = on_either.services.audit.newest(session, 9)
    assert ("release.stop", "coordinator") in [(row.action, row.actor) for row in rows]
    publish(on_either, "0.2.1", 2)
    assert on_either.ask("GET", "/v1/release", third).json()["manifest"] is not None


def test_only_whom_a_stage_is_for_has_a_word_in_it(pinned: Coordinator) -> None:
    publish(pinned, "0.2.0", 1, share=0.5)
    tokens = [member(pinned, f"a{number}") for number in range(6)]
    for token in tokens:
        chosen = is_chosen(token.partition(".")[0], "0.2.0", 0.5)
        assert tell(pinned, token, Result.GOOD).status_code == (201 if chosen else 403)
    assert tell(pinned, tokens[0], Result.GOOD, serial=9).status_code == 404


def test_an_operator_stops_a_release_from_afar(pinned: Coordinator) -> None:
    publish(pinned, "0.2.0", 1)
    operator = pinned.key(KeyRole.OPERATOR, "boss")
    for _ in range(2):
        stopped = pinned.ask(
            "POST", "/v1/releases/1/stop", operator, json={"reason": "It loses frames."}
        )
        assert stopped.json() == {"stopped": True}
    assert pinned.ask("GET", "/v1/release", member(pinned)).json()["manifest"] is None
    unknown = pinned.ask("POST", "/v1/releases/7/stop", operator, json={"reason": "x"})
    assert unknown.status_code == 404


def test_what_is_not_right_is_not_published(pinned: Coordinator) -> None:
    kept, now = releases_of(pinned), pinned.clock.now
    good = manifest(serial=5, issued=now)
    data = {good.main.name: b"p2c2g 0.2.0"}
    thief = signed(good, release_key("thief"))
    old = signed(manifest(issued=now - 2 * DAY, expires=now - DAY), release_key())
    for text, wheels, why in (
        (thief, data, "not signed by the key that peers trust"),
        ("{}", data, "is none"),
        (old, data, "has expired"),
        (signed(good, release_key()), {}, "is missing"),
        (signed(good, release_key()), {good.main.name: b"other"}, "not the one that was signed"),
    ):
        with pytest.raises(UsageError, match=why):
            kept.publish(text, wheels, TESTER)
    kept.publish(signed(good, release_key()), data, TESTER)
    with pytest.raises(UsageError, match="--serial 6 or more"):
        kept.publish(signed(good, release_key()), data, TESTER)


def test_a_key_is_pinned_once_and_then_handed_on(coordinator: Coordinator) -> None:
    kept = releases_of(coordinator)
    assert kept.public_key() == ""
    with pytest.raises(UsageError, match="release pin"):
        kept.publish(signed(manifest(), release_key()), {}, TESTER)
    with pytest.raises(UsageError, match="no public key"):
        kept.pin("hello", TESTER)
    kept.pin(release_key().public, TESTER)
    kept.pin(release_key().public, TESTER)
    with pytest.raises(UsageError, match="trust another key already"):
        kept.pin(release_key("thief").public, TESTER)
    with pytest.raises(UsageError, match="and 1 is the next"):
        kept.change_key(change(2, "first", "second"), TESTER)
    with pytest.raises(UsageError, match="not signed by the key"):
        kept.change_key(change(1, "thief", "second"), TESTER)
    assert kept.change_key(change(1, "first", "second"), TESTER) == release_key("second").public
    assert kept.public_key() == release_key("second").public
    assert kept.offer().changes == (change(1, "first", "second"),)


def test_what_is_kept_is_bounded(pinned: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "WITH_REPORTS", 5)
    for serial in range(1, 8):
        publish(pinned, f"0.{serial}.0", serial)
    kept = releases_of(pinned)
    assert [each.manifest.serial for each in kept.list()] == [7, 6, 5, 4, 3]
    with pinned.services.database.reading() as session:
        assert session.query(WheelRow).count() == releases.WITH_WHEELS
    with pytest.raises(NotFoundError):
        kept.wheel(wheel("0.1.0").sha256)


def test_the_longest_offer_is_one_that_a_peer_reads() -> None:
    longest = Offer(changes=(change(1, "first", "second"),) * 16, manifest="x" * 32_768)
    assert len(longest.model_dump_json()) < MAX_OFFER


def test_a_wheel_is_not_sent_for_ever(pinned: Coordinator) -> None:
    publish(pinned, "0.2.0", 1)
    token = member(pinned)
    path = f"/v1/release/wheels/{wheel().sha256}"
    answers = [pinned.ask("GET", path, token).status_code for _ in range(20)]
    assert answers[0] == 200
    assert answers[-1] == 429
    with pytest.raises(ForbiddenError):
        releases_of(pinned).check_peer(member(pinned, "ada", "gamer").partition(".")[0])
