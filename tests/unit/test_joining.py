"""A member's side of joining: addresses, proofs, what is kept, and leases."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from p2c2g.errors import PoolRefusesError, PoolUnavailableError, UsageError
from p2c2g.joining import client as clients
from p2c2g.joining import peer
from p2c2g.joining.address import PoolAddress
from p2c2g.joining.client import PoolClient
from p2c2g.joining.kept import Kept
from p2c2g.joining.lease import Lease
from p2c2g.joining.messages import MAX_MESSAGE, MEMBERSHIP, Renewed
from p2c2g.joining.proof import is_proven, prove
from p2c2g.sealing.identity import Identity, text_of
from p2c2g.settings.membership import Membership

TOKEN = "p2c2g_token"
POOL = PoolAddress.parse("https://pool.test")


# -- addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://pool.test/", "https://pool.test"),
        (" https://pool.test:8443/p2c2g ", "https://pool.test:8443/p2c2g"),
        ("http://127.0.0.1:8770", "http://127.0.0.1:8770"),
        ("http://localhost:8770", "http://localhost:8770"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_an_address_is_read(text: str, url: str) -> None:
    assert PoolAddress.parse(text) == PoolAddress(url)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://pool.test", "has no TLS"),
        ("http://127.0.0.1.pool.test", "has no TLS"),
        ("http://10.0.0.1:8770", r"has no TLS.*: give https://10\.0\.0\.1:8770\."),
        ("http://[2001:db8::1]:8770", r"give https://\[2001:db8::1\]:8770\."),
        ("pool.test", "no pool's address"),
        ("redis://pool.test", "no pool's address"),
        ("https://", "no pool's address"),
        ("https://pool.test:http", "no pool's address"),
        ("https://pool.test/a b", "no pool's address"),
        ("https://pool .test", "no pool's address"),
        ("", "no pool's address"),
    ],
)
def test_what_is_none_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        PoolAddress.parse(text)


@pytest.mark.parametrize("end", [f"?token={TOKEN}", f"#{TOKEN}", f"#token={TOKEN}"])
def test_a_token_in_it_is_taken_out_and_never_shown(end: str) -> None:
    found = PoolAddress.parse(f"https://pool.test{end}")
    assert found == PoolAddress("https://pool.test", TOKEN)
    with pytest.raises(UsageError) as caught:
        PoolAddress.parse(f"http://pool.test{end}")
    assert TOKEN not in str(caught.value)


def test_each_pool_has_a_folder_of_its_own() -> None:
    one, other = PoolAddress.parse("https://pool.test/a"), PoolAddress.parse("https://pool.test/b")
    assert one.folder != other.folder
    assert one.folder.startswith("pool.test-")


# -- proofs -----------------------------------------------------------------------------------


def test_a_proof_is_for_one_key_and_one_bearer() -> None:
    mine, other = Identity.generate(), Identity.generate()
    proof = prove(mine, TOKEN)
    assert is_proven(text_of(mine.public), proof, TOKEN)
    assert not is_proven(text_of(mine.public), proof, "another")
    assert not is_proven(text_of(other.public), proof, TOKEN)
    assert not is_proven("", proof, TOKEN)
    assert not is_proven(text_of(mine.public), "nonsense", TOKEN)


# -- the client -------------------------------------------------------------------------------


def answering(monkeypatch: pytest.MonkeyPatch, handler: Any) -> None:
    """Have every client of a pool answered by a function."""
    real = httpx.Client

    def streamed(request: httpx.Request) -> httpx.Response:
        """Answer as a server does, part by part."""
        answer: httpx.Response = handler(request)
        if not answer.is_stream_consumed:
            return answer
        content = httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=content)

    def client(**options: Any) -> httpx.Client:
        options.pop("verify"), options.pop("trust_env")
        return real(transport=httpx.MockTransport(streamed), **options)

    monkeypatch.setattr(clients.httpx, "Client", client)


def ask() -> Renewed:
    with PoolClient(POOL) as client:
        return client.post(MEMBERSHIP, TOKEN, None, Renewed)


RENEWED = {"broker": "rediss://b.test/0", "prefix": "p2c2g", "lease": 600.0}


def test_it_shows_its_bearer_and_reads_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=RENEWED)

    answering(monkeypatch, handler)
    assert ask().lease == 600
    assert str(asked[0].url) == "https://pool.test/v1/membership"
    assert asked[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (httpx.Response(403, json={"detail": "You are banned."}), PoolRefusesError, "are banned"),
        (httpx.Response(503, json={"detail": "No broker."}), PoolUnavailableError, "No broker"),
        (
            httpx.Response(429, headers={"Retry-After": "7"}, json={"detail": "Too often."}),
            PoolUnavailableError,
            "Too often. Try again in 7 s.",
        ),
        (httpx.Response(502, text="<html>"), PoolUnavailableError, "its answer is 502"),
        (httpx.Response(404, text="<html>"), PoolUnavailableError, "its answer is 404"),
        (
            httpx.Response(302, headers={"Location": "https://evil.test"}),
            PoolUnavailableError,
            "its answer is 302",
        ),
        (httpx.Response(200, text="<html>hello"), PoolUnavailableError, "no coordinator"),
        (httpx.Response(200, content=b" " * (MAX_MESSAGE + 1)), PoolUnavailableError, "no coordin"),
        (
            httpx.Response(403, json={"detail": "\x1b[2Jx" + "y" * 9_000}),
            PoolRefusesError,
            "x" + "y" * 200,
        ),
    ],
)
def test_what_else_comes_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, answer: httpx.Response, kind: type[Exception], said: str
) -> None:
    answering(monkeypatch, lambda _: answer)
    with pytest.raises(PoolUnavailableError, match=said) as caught:
        ask()
    assert type(caught.value) is kind
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    assert TOKEN not in str(caught.value)


def test_nothing_is_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(b" " * 2**24)
    assert len(bomb) < MAX_MESSAGE
    packed = httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(bomb)
    )
    answering(monkeypatch, lambda _: packed)
    tracemalloc.start()
    with pytest.raises(PoolUnavailableError, match="no coordinator"):
        ask()
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda _: httpx.Response(200, content=iter(lambda: b" ", b"")))
    with PoolClient(POOL, patience=1e-3) as client, pytest.raises(PoolUnavailableError):
        client.post(MEMBERSHIP, TOKEN, None, Renewed)


def test_a_coordinator_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    answering(monkeypatch, handler)
    with pytest.raises(PoolUnavailableError, match="does not answer: Connection refused") as caught:
        ask()
    assert caught.value.retryable


def test_a_certificate_that_is_not_trusted_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")

    answering(monkeypatch, handler)
    with pytest.raises(PoolUnavailableError, match=r"ca\.crt as P2C2G_POOL_CA"):
        ask()


def test_a_bearer_that_would_break_a_header_is_refused() -> None:
    with PoolClient(POOL) as client, pytest.raises(UsageError, match="no key and no token"):
        client.post(MEMBERSHIP, "a\r\nb: c", None, Renewed)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "nonsense://x"])
def test_a_proxy_that_cannot_be_used_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(UsageError, match="proxy that the environment names"):
        PoolClient(POOL)
    PoolClient(PoolAddress.parse("http://127.0.0.1:8770")).close()


def test_a_file_of_certificates_that_is_none_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("P2C2G_POOL_CA", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="P2C2G_POOL_CA names"):
        PoolClient(POOL)


# -- what is kept -----------------------------------------------------------------------------


def membership(**changes: Any) -> Membership:
    told = {
        "pool": POOL.url, "role": "peer", "id": "pattic", "user": "peer-pattic",
        "broker": "rediss://b.test/0", "password": "secret", "token": "pattic.token", "lease": 0.0,
    }  # fmt: skip
    return Membership.model_validate(told | changes)


def test_it_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    kept = Kept(POOL, "attic", tmp_path / "pools")
    assert kept.read() is None
    kept.write(membership())
    assert kept.read() == membership()
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700
    kept.forget()
    assert kept.read() is None


@pytest.mark.skipif(os.name != "posix", reason="locks of files are the system's")
def test_two_processes_are_not_one_peer(tmp_path: Path) -> None:
    kept = Kept(POOL, "attic", tmp_path)
    with kept.claimed():
        with pytest.raises(UsageError, match="another by --name"), kept.claimed():
            pass
        with Kept(POOL, "cellar", tmp_path).claimed():
            pass
    with kept.claimed():
        pass


@pytest.mark.skipif(os.name != "posix", reason="locks of files are the system's")
def test_the_program_that_a_process_becomes_has_its_claim(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from p2c2g.joining.address import PoolAddress; from p2c2g.joining.kept import Kept\n"
        f"with Kept(PoolAddress({POOL.url!r}), 'attic', Path(sys.argv[1])).claimed():\n"
        "    os.execvp('cat', ['cat'])\n"
    )
    kept = Kept(POOL, "attic", tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"there\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"there\n"
        with pytest.raises(UsageError, match="another by --name"), kept.claimed():
            pass
        process.stdin.close()
    with kept.claimed():
        pass


# -- a peer enters ----------------------------------------------------------------------------


class Entering:
    """A peer's machine, and what its coordinator does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept = Kept(POOL, "attic", folder)
        self.said: list[str] = []
        self.tokens = [TOKEN]
        self.renewal: Membership | Exception = membership(prefix="renewed")
        monkeypatch.setattr(peer, "renewed", self._renew)
        monkeypatch.setattr(peer, "join", lambda *_: membership(prefix="new"))

    def _renew(self, *_: Any) -> Membership:
        if isinstance(self.renewal, Exception):
            raise self.renewal
        return self.renewal

    def enter(self) -> str:
        return peer.enter(POOL, self.kept, "attic", self.tokens.pop, self.said.append).prefix


@pytest.fixture
def entering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entering:
    return Entering(tmp_path, monkeypatch)


def test_the_first_time_needs_a_token_and_the_second_none(entering: Entering) -> None:
    assert entering.enter() == "new"
    assert not entering.tokens
    assert entering.enter() == "renewed"
    kept = entering.kept.read()
    assert kept is not None
    assert kept.prefix == "renewed"
    assert not entering.said


def test_a_coordinator_that_is_away_keeps_nobody_from_working(entering: Entering) -> None:
    entering.kept.write(membership(prefix="kept"))
    entering.renewal = PoolUnavailableError("It does not answer.")
    assert entering.enter() == "kept"
    assert entering.said == [
        "It does not answer. This peer goes on with the membership that it has."
    ]


def test_one_who_is_no_member_any_more_needs_a_new_token(entering: Entering) -> None:
    entering.kept.write(membership())
    entering.renewal = PoolRefusesError("It was revoked.")
    assert entering.enter() == "new"
    assert "It was revoked." in entering.said[0]


def test_an_answer_that_was_lost_is_asked_for_again_as_the_same_peer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {
        "role": "peer", "id": "pattic", "user": "peer-pattic", "broker": "rediss://b.test/0",
        "password": "secret", "token": "t", "prefix": "p2c2g", "lease": 0.0,
    }  # fmt: skip
    answers = [httpx.Response(503), httpx.Response(502), httpx.Response(201, json=given)]
    asked: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.content)
        return answers.pop(0)

    answering(monkeypatch, handler)
    monkeypatch.setattr(peer, "_AGAIN", (0.0, 0.0))
    joined = peer.join(POOL, "attic", TOKEN)
    assert joined.id == "pattic"
    assert len(asked) == 3
    assert len(set(asked)) == 1
    answers[:] = [httpx.Response(503)] * 3
    with pytest.raises(PoolUnavailableError):
        peer.join(POOL, "attic", TOKEN)
    answers[:] = [httpx.Response(403, json={"detail": "It is spent."})] * 3
    with pytest.raises(PoolRefusesError):
        peer.join(POOL, "attic", TOKEN)
    assert len(answers) == 2


def test_a_pool_without_tls_is_not_entered() -> None:
    with pytest.raises(PoolRefusesError, match="no TLS"):
        peer._checked(membership(broker="redis://b.test/0"))


def test_labels_are_what_every_coordinator_takes() -> None:
    assert peer.label_of("Mom's <PC>: attic\n") == "Mom-s -PC-- attic-"


# -- a gamer's lease --------------------------------------------------------------------------


class Renewals:
    """A coordinator that answers by a list, and the pauses between."""

    def __init__(self, *answers: Exception | None) -> None:
        self.left = list(answers)
        self.paused: list[float] = []
        self.said: list[str] = []
        lease = membership(role="gamer", lease=600.0)
        self.lease = Lease(lease, self.said.append, self.renew, self.pause)

    def pause(self, seconds: float) -> bool:
        self.paused.append(seconds)
        return not self.left

    def renew(self, held: Membership, _: Any) -> Membership:
        answer = self.left.pop(0)
        if answer is not None:
            raise answer
        return held


def test_it_is_renewed_at_half_time() -> None:
    renewals = Renewals(None, None)
    renewals.lease.run()
    assert renewals.paused == [300.0] * 3
    assert not renewals.said


def test_while_the_coordinator_is_away_it_is_said_once_and_tried_with_growing_pauses() -> None:
    away = PoolUnavailableError("It is away.")
    renewals = Renewals(away, away, away, None, away, None)
    renewals.lease.run()
    assert renewals.paused == [300.0, 1.0, 2.0, 4.0, 300.0, 1.0, 300.0]
    assert [sentence.split(".")[0] for sentence in renewals.said] == [
        "It is away", "The pool's coordinator answers again",
    ] * 2  # fmt: skip


def test_who_is_refused_asks_no_more() -> None:
    renewals = Renewals(PoolRefusesError("You are banned."), None)
    renewals.lease.run()
    assert len(renewals.left) == 1
    assert renewals.said == ["You are banned. The session goes on without the pool."]


def test_no_secret_is_in_what_is_shown() -> None:
    held = membership(signing_key=SecretStr("private"))
    for secret in ("secret", "pattic.token", "private"):
        assert secret not in repr(held)


@pytest.mark.parametrize(("had", "has"), [("", "told"), ("had", "had")])
def test_a_renewal_gives_a_key_to_who_has_none_and_no_other_to_who_has_one(
    monkeypatch: pytest.MonkeyPatch, had: str, has: str
) -> None:
    keys = {"": "", "had": "A" * 43 + "=", "told": "B" * 43 + "="}
    answering(
        monkeypatch, lambda _: httpx.Response(200, json=RENEWED | {"release_key": keys["told"]})
    )
    again = peer.renewed(membership(release_key=keys[had]), lambda _: None)
    assert again.release_key == keys[has]
