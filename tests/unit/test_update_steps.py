"""What an update does to a machine: wheels that come, room on the disk, and programs that fail."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from p2c2g.errors import P2C2GError, PoolUnavailableError, UnavailableError, UpdateError, UsageError
from p2c2g.joining import client as clients
from p2c2g.lending.home import Home
from p2c2g.settings.membership import Membership
from p2c2g.updating.course import UnsureError
from p2c2g.updating.fetching import PoolSource
from p2c2g.updating.manifest import Manifest, Offer, Report, Wheel
from p2c2g.updating.releasing import described, python_of, said_by, wheels_of
from p2c2g.updating.signing import signed
from p2c2g.updating.venvs import Venvs, as_extras, check_wheel, environment
from tests.releases import change, manifest, release_key, wheel

MEMBER = Membership(
    pool="https://pool.test", role="peer", id="pattic", broker="rediss://b.test/0",
    user="peer-pattic", password=SecretStr("x"), token=SecretStr("pattic.token"),
    release_key=release_key().public,
)  # fmt: skip
DATA = b"p2c2g 0.2.0"


class Wheels:
    """A source whose wheels are some bytes."""

    def __init__(self, data: bytes = DATA) -> None:
        self._data = data

    def member(self) -> None:
        return None

    def offer(self) -> Offer:
        return Offer()

    def fetch(self, wheel: Wheel, path: Path) -> None:
        path.write_bytes(self._data)

    def report(self, report: Report) -> None:
        raise AssertionError


def home_of(folder: Path) -> Home:
    """Return a home with one environment of some kilobytes."""
    home = Home(folder / "home")
    home.prepare()
    (home.venv("0.1.0") / "bin").mkdir(parents=True)
    (home.venv("0.1.0") / "bin" / "p2c2g").write_bytes(bytes(1 << 20))
    home.switch("0.1.0")
    return home


def made(folder: Path, *needs: str, name: str = "p2c2g-0.2.0-py3-none-any.whl") -> Path:
    """Make a wheel that says what it needs."""
    path = folder / name
    told = ["Metadata-Version: 2.4", "Name: p2c2g", "Version: 0.2.0", "Requires-Python: >=3.11"]
    with zipfile.ZipFile(path, "w") as file:
        lines = [*told, *(f"Requires-Dist: {need}" for need in needs)]
        file.writestr("p2c2g-0.2.0.dist-info/METADATA", "\n".join(lines) + "\n")
    return path


# -- what comes -------------------------------------------------------------------------------


def refused(status: int, text: str) -> httpx.Response:
    return httpx.Response(status, stream=httpx.ByteStream(text.encode()))


def serving(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[httpx.Request], httpx.Response]
) -> PoolSource:
    """Return a source whose coordinator is a function."""
    real = httpx.Client

    def client(**options: Any) -> httpx.Client:
        options.pop("verify"), options.pop("trust_env")
        return real(transport=httpx.MockTransport(answer), **options)

    monkeypatch.setattr(clients.httpx, "Client", client)
    return PoolSource(lambda: MEMBER)


def test_a_wheel_is_there_as_it_was_signed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(DATA))

    path = tmp_path / "a.whl"
    serving(monkeypatch, answer).fetch(wheel(), path)
    assert path.read_bytes() == DATA
    assert str(asked[0].url) == f"https://pool.test/v1/release/wheels/{wheel().sha256}"
    assert asked[0].headers["Authorization"] == "Bearer pattic.token"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (httpx.Response(200, stream=httpx.ByteStream(DATA[::-1])), "is not what was signed"),
        (httpx.Response(200, stream=httpx.ByteStream(DATA * 9)), "not what it offered"),
        (httpx.Response(200, stream=httpx.ByteStream(DATA[:3])), "not what it offered: 3 bytes"),
        (refused(404, '{"detail": "There is no such wheel."}'), "no such wheel"),
        (refused(404, "<html>" * 99_999), "its answer is 404"),
        (refused(429, '{"detail": "Too often."}'), "Too often"),
    ],
)
def test_what_is_not_is_no_wheel_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: httpx.Response, why: str
) -> None:
    source = serving(monkeypatch, lambda _: answer)
    with pytest.raises(UnavailableError, match=why):
        source.fetch(wheel(), tmp_path / "a.whl")
    assert not list(tmp_path.iterdir())


def test_a_wheel_that_never_ends_is_given_up_at_its_size(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endless = httpx.Response(200, content=iter(lambda: bytes(65_536), None))
    with pytest.raises(UnavailableError, match="not what it offered"):
        serving(monkeypatch, lambda _: endless).fetch(wheel(), tmp_path / "a.whl")


def test_who_has_not_joined_has_nobody_to_ask() -> None:
    source = PoolSource(lambda: None)
    assert source.member() is None
    with pytest.raises(PoolUnavailableError, match="not joined its pool yet"):
        source.offer()


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = httpx.Response(200, stream=httpx.ByteStream(DATA))
    source = serving(monkeypatch, lambda _: good)
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "a.part").symlink_to(full)
    with pytest.raises(UnavailableError, match="No space left on device"):
        source.fetch(wheel(), tmp_path / "a.whl")


# -- room, wheels and extras ------------------------------------------------------------------


def test_without_room_nothing_is_fetched(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    venvs = Venvs(home, Wheels(), free=lambda _: 65 << 20)
    with pytest.raises(UnavailableError, match="it needs 65 MB on the disk, and 65 MB are free"):
        venvs.fetch(manifest())
    Venvs(home, Wheels(), free=lambda _: 66 << 20).fetch(manifest())
    assert (home.root / "update" / wheel().name).read_bytes() == DATA


@pytest.mark.parametrize(
    "need",
    ["evil @ https://evil.test/evil.whl", "evil @ file:///evil", "evil @ git+ssh://e.test/e"],
)
def test_a_wheel_that_brings_something_from_elsewhere_is_refused(tmp_path: Path, need: str) -> None:
    check_wheel(made(tmp_path, "numpy>=2", 'psutil>=7; extra == "worker"'))
    with pytest.raises(UpdateError, match="evil installed from elsewhere than the index"):
        check_wheel(made(tmp_path, "numpy>=2", need))
    with pytest.raises(UsageError, match=r"cannot be released: .*elsewhere"):
        described(made(tmp_path, need))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"x" * 99])
def test_what_is_no_wheel_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "p2c2g-0.2.0-py3-none-any.whl"
    path.write_bytes(data)
    with pytest.raises(UpdateError, match="is no wheel"):
        check_wheel(path)


def test_extras_are_those_that_are_installed() -> None:
    needs = {"worker": ["psutil", "httpx"], "gone": ["no-such-project"], "demo": []}
    assert as_extras(list(needs), needs.__getitem__) == "[worker]"
    assert as_extras([], needs.__getitem__) == ""


def test_a_new_version_sees_no_other_packages_than_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    home = Home(tmp_path)
    assert "PYTHONPATH" not in environment(home)
    assert environment(home, alone=False)["PYTHONPATH"] == "/elsewhere"
    assert environment(home)["P2C2G_PEER_HOME"] == str(tmp_path)


# -- programs that are run --------------------------------------------------------------------


def step(folder: Path, code: str, patience: float = 60.0, **more: Any) -> str:
    venvs = Venvs(home_of(folder), Wheels(), **more)
    return venvs._step([sys.executable, "-c", code], patience)


def test_a_program_says_what_it_prints(tmp_path: Path) -> None:
    assert step(tmp_path, "print('so it is')") == "so it is"


@pytest.mark.parametrize(
    ("code", "kind", "why"),
    [
        ("print('why'); raise SystemExit('because')", UnsureError, "ended with 1: because"),
        ("raise SystemExit(3)", UnsureError, "ended with 3: it said nothing"),
        (
            "raise SystemExit('ERROR: [Errno 28] No space left on device')",
            UnavailableError,
            "no room is left on the disk",
        ),
    ],
)
def test_a_program_that_fails_is_a_sentence(
    tmp_path: Path, code: str, kind: type[P2C2GError], why: str
) -> None:
    with pytest.raises(kind, match=why):
        step(tmp_path, code)


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    code = "import signal; signal.pause()"
    with pytest.raises(UnsureError, match="took longer than 0 s"):
        step(tmp_path, code, 0.0)
    ending = Event()
    ending.set()
    with pytest.raises(UnavailableError, match="keeper was ended"):
        step(tmp_path / "b", code, ending=ending)


def test_a_failed_installation_on_a_full_disk_is_not_the_releases_fault(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no room is left"):
        step(tmp_path, "raise SystemExit('it broke')", free=lambda _: 0)


def test_what_is_not_used_is_deleted_and_what_is_linked_to_stays(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    elsewhere = tmp_path / "pipx"
    elsewhere.mkdir()
    home.venv("0.0.9").symlink_to(elsewhere)
    home.venv("0.2.0").mkdir()
    Venvs(home, Wheels()).tidy("0.1.0")
    assert [each.name for each in home.venvs.iterdir()] == ["0.1.0"]
    assert elsewhere.is_dir()


# -- an operator's files ----------------------------------------------------------------------


def test_a_wheel_is_described_as_it_is(tmp_path: Path) -> None:
    path = made(tmp_path)
    told = described(path)
    digest = sha256(path.read_bytes()).hexdigest()
    assert (told.name, told.sha256, told.size) == (path.name, digest, path.stat().st_size)
    assert python_of(path) == ">=3.11"
    with pytest.raises(UsageError, match="cannot be read"):
        described(tmp_path / "gone.whl")
    with pytest.raises(UsageError, match="its name or its size is not right"):
        described(made(tmp_path, name="p2c2g.whl"))


def test_what_is_published_is_known_by_what_it_says(tmp_path: Path) -> None:
    text = signed(manifest(), release_key())
    assert said_by(text) == manifest()
    assert said_by(change(1, "first", "second")) is None
    for wrong in ("", "{}", "hello", '{"payload": "e30="}'):
        with pytest.raises(UsageError):
            said_by(wrong)
    (tmp_path / wheel().name).write_bytes(DATA)
    found: Manifest = manifest()
    assert wheels_of(found, [], tmp_path) == {wheel().name: DATA}
    assert wheels_of(found, [], tmp_path / "gone") == {}
