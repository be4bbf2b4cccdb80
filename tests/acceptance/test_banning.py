"""An operator shuts machines of an open pool out, and lets them in again, by one command."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from p2c2g.joining.address import PoolAddress
from p2c2g.joining.peer import join
from p2c2g.settings.membership import written
from p2c2g.system.secrets import write_private
from tests.forks import Finished
from tests.pool import LIAR
from tests.pool import environment as whole_environment

from .conftest import PATIENCE, Command, finish_quickly
from .test_joining import RUN, Pool, pool

__all__ = ["pool"]


def operate(*words: str, **env: str) -> Finished:
    return finish_quickly("p2c2g", "pool", *words, **env)


def ended(peer: Command) -> tuple[int, list[str]]:
    """Return how a peer ended, and the lines of the end that are warnings or worse."""
    output, _ = peer.process.communicate(timeout=PATIENCE)
    return peer.process.returncode, [
        line for line in output.splitlines() if "CRITICAL" in line or "ERROR" in line
    ]


@pytest.mark.needs("redis-server")
def test_a_banned_peer_is_told_why_in_one_sentence_and_a_drained_one_too(pool: Pool) -> None:
    peer = pool.peer(P2C2G_JOIN_TOKEN=pool.key("anna", "peer"))
    operator = {**pool.theirs, "P2C2G_OPERATOR_KEY": pool.key("olga", "operator")}
    afar = f"--at={pool.url}"

    # On the coordinator's machine, by what people call it.
    done = operate("ban", "attic", "--reason=It lied.", **pool.own)
    assert (done.code, "is banned." in done.output) == (0, True), done
    code, lines = ended(peer)
    assert (code, len(lines)) == (1, 1), lines
    assert lines[0].endswith("refuses: This pool will not have this peer: It lied."), lines

    # From afar, by an operator's key.
    listed = operate("list", "--json", afar, **operator)
    (row,) = json.loads(listed.output)
    assert (row["label"], row["role"], row["ban_reason"]) == ("attic", "peer", "It lied."), row
    assert "banned" in operate("list", "--role=peer", afar, **operator).output
    assert (
        operate("unban", row["id"], afar, **operator).output == f"{row['id']} may come in again.\n"
    )
    again = operate("unban", "attic", afar, **operator)
    assert (again.code, "is not banned" in again.errors) == (1, True), again

    # It comes back by the membership that it had, and is to leave in good order.
    peer = pool.peer()
    assert operate("drain", "attic", afar, **operator).code == 0
    code, lines = ended(peer)
    assert (code, lines) == (0, []), lines
    assert operate("resume", "attic", afar, **operator).code == 0


@pytest.mark.needs("redis-server")
def test_an_operator_sees_what_a_liar_has_signed_and_bans_it(
    pool: Pool, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2C2G_POOL_CA", pool.theirs["P2C2G_POOL_CA"])
    liar = join(PoolAddress.parse(pool.url), "attic", pool.key("anna", "peer"))
    write_private(tmp_path / "membership.json", written(liar))
    worker: Command = start(
        *("celery", "-A", LIAR, "worker", "-Q", "cpu", "-c", "1", "-l", "info"),
        **pool.theirs,
        P2C2G_MEMBERSHIP=str(tmp_path / "membership.json"),
        PYTHONPATH=whole_environment(None)["PYTHONPATH"],
    )
    worker.line_with(" ready.")
    # It is played until the operator has been shown an answer, however slow the machine is.
    session: Command = start(
        *RUN, "--seconds=600", "--deadline=3000", "--pool", pool.url, **pool.theirs,
        P2C2G_KEY=pool.key("ben", "gamer"), P2C2G_SESSION_SHOW_EVIDENCE="true",
    )  # fmt: skip
    file = tmp_path / "evidence.json"
    sentence = "ben  This peer signed an answer that the check refuses here too."
    deadline = monotonic() + PATIENCE
    while True:
        shown = operate("evidence", "attic", f"--save={file}", **pool.own)
        if sentence in shown.output:
            break
        assert monotonic() < deadline, shown
    ended_session = session.end()
    assert ended_session.code == 0, ended_session
    checked = finish_quickly("p2c2g", "evidence", "check", str(file), **pool.own)
    assert (checked.code, f"{liar.id}  " in checked.output) == (0, True), checked
    assert "  refused  (" in checked.output
    assert operate("ban", "attic", "--reason=It answers black.", **pool.own).code == 0
    code, lines = ended(worker)
    assert (code, len(lines)) == (1, 1), lines
    assert lines[0].endswith("This pool will not have this peer: It answers black.")


@pytest.mark.needs("redis-server")
def test_two_of_one_name_are_told_apart(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2C2G_POOL_CA", pool.theirs["P2C2G_POOL_CA"])
    token = pool.key("anna", "peer")
    ids = [join(PoolAddress.parse(pool.url), "attic", token).id for _ in range(2)]
    refused = operate("ban", "attic", "--reason=It lied.", **pool.own)
    assert (refused.code, "2 are called 'attic'" in refused.errors) == (2, True), refused
    assert all(each in refused.errors for each in ids)
    assert operate("ban", ids[0], "--reason=It lied.", **pool.own).code == 0
    shown = operate("evidence", ids[0], **pool.own)
    assert (shown.code, shown.output) == (0, "Nobody has shown anything of it.\n"), shown
    # Of whom another is banned, the other stays.
    rows = json.loads(operate("list", "--json", **pool.own).output)
    assert {row["id"]: row["welcome"] for row in rows} == {ids[0]: False, ids[1]: True}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("ban", "attic", "--reason=x"), "Nobody in the pool has the id or label 'attic'"),
        (("unban", "k3v9m2x8q1w7e5r4t6y0"), "There is no peer and no gamer"),
        (("ban", "k3v9m2x8q1w7e5r4t6y0", "--reason="), "reason cannot be used"),
        (("evidence", "k3v9m2x8q1w7e5r4t6y0"), "There is no peer and no gamer"),
        (("list", "--role=operator"), "give peer or gamer"),
        (("list", "--key-file=x"), "--key-file is for --at"),
        (("list", "--at=https://127.0.0.1:1"), "does not answer"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    env: dict[str, Any] = {"P2C2G_COORDINATOR_DATA": str(tmp_path), "P2C2G_OPERATOR_KEY": "p2c2g_x"}
    done = operate(*words, **env)
    assert done.code in (1, 2), done
    assert sentence in done.errors
    assert len(done.errors.splitlines()) == 1
