"""Evidence against peers at the coordinator: who may bring it, what is kept, who reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from p2c2g.commands.evidence import read
from p2c2g.coordinator import evidence as keeping
from p2c2g.coordinator import keys
from p2c2g.coordinator.accounts import ForbiddenError
from p2c2g.coordinator.evidence import Dossier
from p2c2g.coordinator.keys import KeyRole
from p2c2g.coordinator.models import PrincipalRow
from p2c2g.errors import PoolRefusesError, PoolUnavailableError, UsageError
from p2c2g.joining.client import CA_VARIABLE
from p2c2g.joining.courier import Courier
from p2c2g.sealing.identity import text_of
from p2c2g.settings.membership import Membership, written
from p2c2g.verify.evidence import Evidence, Finding
from p2c2g_capture.pool import fitting
from tests import sealed
from tests.coordinators import (
    ADDRESS,
    TESTER,
    Coordinator,
    add_principal,
    coordinator_settings,
    running,
    served,
)
from tests.lane import PATIENCE
from tests.sealed import GAMER, IDENTITY, PEER, Desk, Worker
from tests.unit.test_evidence import DARK

SECRET = "s3cret"


@pytest.fixture
def coordinator(tmp_path: Path, database_url: str | None) -> Iterator[Coordinator]:
    with running(coordinator_settings(tmp_path, database_url, evidence_per_minute=4)) as started:
        add(started, "peer", "lender", PEER, public_key=text_of(IDENTITY.public))
        add(started, "gamer", "ada", GAMER)
        yield started


def add(coordinator: Coordinator, role: str, account: str, id_: str, **fields: Any) -> str:
    """Add a principal of a certain id; return the token of its membership."""
    services = coordinator.services
    made = add_principal(services, role, account)
    with services.database.writing() as session:
        row = session.get_one(PrincipalRow, made)
        row.id = id_
        for name, value in fields.items():
            setattr(row, name, value)
        row.digest = keys.digest(services.secret.key("tokens"), f"{id_}.{SECRET}")
    return f"{id_}.{SECRET}"


def caught(
    monkeypatch: pytest.MonkeyPatch, *, shows: bool = False, count: int = 1
) -> list[Evidence]:
    """Return what a session has of a peer that answered darkness so often."""
    worker = Worker()
    with closing(Desk(monkeypatch, worker, shows=shows)) as desk:
        found: list[Evidence] = []
        for _ in range(count):
            _, header, payload, _ = desk.submit()
            desk.take(worker.lie(header, payload, DARK), PEER)
            found.append(desk.session.evidence()[-1])
        return found


def bring(coordinator: Coordinator, token: str, evidence: Evidence) -> Any:
    return coordinator.ask("POST", "/v1/evidence", token, json=evidence.model_dump(mode="json"))


def sending(coordinator: Coordinator, token: str) -> Callable[[Any], None]:
    """Return a courier's way, with the errors that a client of ours would raise."""

    def send(piece: Any) -> None:
        answer = bring(coordinator, token, piece)
        if answer.status_code == 429:
            raise PoolUnavailableError(answer.text)
        if answer.status_code != 201:
            raise PoolRefusesError(answer.text)

    return send


@pytest.mark.parametrize(
    ("shows", "finding", "verdict"),
    [
        (False, "signed", "what is wrong with it is the gamer&#39;s word"),
        (True, "refused", "signed an answer that the check refuses here too"),
    ],
)
def test_what_a_session_caught_an_operator_sees_at_the_peer(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shows: bool,
    finding: str, verdict: str,
) -> None:  # fmt: skip
    found = caught(monkeypatch, shows=shows)
    courier = Courier(lambda: found, sending(coordinator, f"{GAMER}.{SECRET}"))
    courier.look()
    courier.look()

    operator = coordinator.key(KeyRole.OPERATOR)
    path = f"/v1/principals/{PEER}/evidence"
    (row,) = coordinator.ask("GET", path, operator).json()
    assert (row["finding"], row["account"], row["gamer"]) == (finding, "ada", GAMER)
    assert (row["said"], row["evidence"]) == (found[0].said, None)
    (whole,) = coordinator.ask("GET", f"{path}?whole=true", operator).json()
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"evidence": [whole["evidence"]]}))
    assert read(report) == found
    assert bool(whole["evidence"].get("shown")) is shows, "pictures by the gamer's leave alone"
    # Nobody is banned by it, and who is shown need not know how.
    assert coordinator.services.pool.principal(PEER).is_welcome
    assert coordinator.ask("GET", path, coordinator.key(KeyRole.PEER, "lender")).status_code == 403

    client = coordinator.client
    client.post("/sign-in", data={"key": operator}, headers={"Origin": ADDRESS})
    page = client.get(f"/pool/{PEER}").text
    assert verdict in page
    assert "1 answer, by 1 account." in page
    assert dossier(coordinator).accounts() == {PEER: 1}
    assert client.get("/pool").status_code == 200


@pytest.mark.needs("redis-server")
def test_it_is_brought_by_tls_with_the_membership_of_the_session(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = caught(monkeypatch, count=2)
    # One of another session, which the coordinator refuses.
    found.insert(1, found[0].model_copy(update={"gamer": "gother1"}))
    with served(tmp_path) as coordinator:
        add(coordinator, "peer", "lender", PEER, public_key=text_of(IDENTITY.public))
        token = add(coordinator, "gamer", "ada", GAMER)
        given = {"pool": coordinator.address, "token": token}
        membership = Membership.model_validate(
            {**json.loads(written(sealed.membership("gamer", GAMER))), **given}
        )
        monkeypatch.setenv(CA_VARIABLE, str(tmp_path / "ca.crt"))
        # What a session does not wait for is brought another time.
        monkeypatch.setattr("p2c2g.joining.courier._PATIENCE", PATIENCE)
        with Courier.of(membership, lambda: found):
            pass  # At the end it looks.
        operator = coordinator.key(KeyRole.OPERATOR)
        rows = coordinator.ask("GET", f"/v1/principals/{PEER}/evidence", operator).json()
        assert [row["finding"] for row in rows] == ["signed", "signed"]


def test_who_is_no_session_that_was_answered_brings_nothing(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = caught(monkeypatch)
    other = add(coordinator, "gamer", "ben", "gother1")
    peer = f"{PEER}.{SECRET}"
    assert bring(coordinator, other, found).status_code == 403, "another's session"
    assert bring(coordinator, peer, found).status_code == 403, "no gamer"
    assert bring(coordinator, coordinator.key(KeyRole.GAMER), found).status_code == 401
    stranger = found.model_copy(update={"pool": "else"})
    own = f"{GAMER}.{SECRET}"
    assert bring(coordinator, own, stranger).status_code == 403
    coordinator.services.accounts.disable(
        coordinator.services.pool.principal(GAMER).account_id, True, TESTER
    )
    assert bring(coordinator, own, found).status_code == 403, "it is out"
    assert dossier(coordinator).of(PEER) == []


def test_what_nobody_signed_shows_nothing(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = caught(monkeypatch)
    said = found.statement
    for change in (
        {"residual": "0" * 64},
        {"peer": "gother1"},
        {"peer": "p\x00"},
        {"signature": "AAAA"},
        {"chunk": "AA"},
    ):
        false = found.model_copy(update={"statement": said.model_copy(update=change)})
        with pytest.raises(UsageError, match="shows nothing"):
            dossier(coordinator).take(GAMER, false)
    assert dossier(coordinator).of(PEER) == []
    with pytest.raises(ForbiddenError):
        dossier(coordinator).take(PEER, found)


def test_an_account_shows_only_so_much_a_minute_and_the_rest_later(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = caught(monkeypatch, count=5)
    own = f"{GAMER}.{SECRET}"
    courier = Courier(lambda: found, sending(coordinator, own))
    courier.look()
    assert len(dossier(coordinator).of(PEER)) == 4
    answer = bring(coordinator, own, found[4])
    assert (answer.status_code, "retry-after" in answer.headers) == (429, True)


def test_what_is_kept_is_bounded(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account's words push out another's, and the oldest go first."""
    monkeypatch.setattr(keeping, "PER_ACCOUNT", 3)
    files = dossier(coordinator)
    first = caught(monkeypatch, count=5)
    for each in first:
        coordinator.clock.now += 1
        assert files.take(GAMER, each) is Finding.SIGNED
    assert [row.text for row in files.of(PEER)] == [
        each.model_dump_json(exclude_defaults=True) for each in reversed(first[2:])
    ]
    files.take(GAMER, first[4])  # Again: it is there once.
    assert len(files.of(PEER)) == 3
    coordinator.clock.now += keeping.KEPT + 1
    (last,) = caught(monkeypatch)
    files.take(GAMER, last)
    assert len(files.of(PEER)) == 1
    monkeypatch.setattr(keeping, "MAX_PIXELS", 100)
    with pytest.raises(UsageError, match="pixels"):
        files.take(GAMER, last)


def test_what_does_not_fit_goes_without_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = caught(monkeypatch, shows=True)
    assert fitting(found) == found
    large = found.model_copy(update={"shown": "A" * 65_536})
    assert not fitting(large).shown
    assert not fitting(large).statement.shown
    assert fitting(large).statement.signature == found.statement.signature


def dossier(coordinator: Coordinator) -> Dossier:
    found: Dossier = coordinator.client.app.state.dossier  # type: ignore[attr-defined]
    return found
