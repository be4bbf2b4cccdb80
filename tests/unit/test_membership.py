"""The file that makes a process a principal of an open pool."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from p2c2g.errors import UsageError
from p2c2g.settings import load
from p2c2g.settings.membership import VARIABLE, Membership, read, written
from p2c2g.settings.principal import Role

PASSWORD = "s3cr3t/;#@"


def membership(**changes: object) -> Membership:
    """Return one of a peer."""
    told = {
        "pool": "https://pool.test", "role": "peer", "id": "pattic", "user": "peer-pattic",
        "broker": "rediss://broker.test:6390/0", "password": PASSWORD, "ca": "PEM",
    }  # fmt: skip
    return Membership.model_validate(told | changes)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a membership's file."""
    path = tmp_path / "membership.json"
    path.touch(mode=0o600)
    path.write_text(written(membership()))
    return path


def test_it_is_read_as_it_was_written(file: Path) -> None:
    assert read(file) == membership()
    assert PASSWORD not in repr(read(file))


def test_every_command_takes_its_broker_and_login(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(file))
    settings = load()
    assert settings.membership is not None
    assert settings.membership.principal.role is Role.PEER
    address = settings.broker.address()
    assert (address.user, address.password) == ("peer-pattic", PASSWORD)
    assert address.hosts == [("broker.test", 6390)]
    tls = settings.broker.tls()
    assert tls is not None
    assert tls["ssl_ca_data"] == "PEM"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (None, 0o600, "cannot be read"),
        ("{}", 0o600, "is no membership"),
        ("x" * 70_000, 0o600, "is no membership"),
        ("{}", 0o644, "others may read"),
        ("{}", 0o777, "others may read"),
    ],
)
def test_what_is_none_is_one_sentence(
    tmp_path: Path, text: str | None, mode: int, said: str
) -> None:
    path = tmp_path / "membership.json"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(UsageError, match=said):
        read(path)


def test_one_that_names_no_broker_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(written(membership(broker="https://pool.test")))
    monkeypatch.setenv(VARIABLE, str(file))
    with pytest.raises(UsageError, match="no broker's URL"):
        load()


@pytest.mark.parametrize(
    "broker", ["redis://broker.test:6390/0", "redis://127.0.0.1.evil.test/0", "sentinel://10.1.2.3"]
)
def test_off_this_machine_there_is_tls(
    file: Path, monkeypatch: pytest.MonkeyPatch, broker: str
) -> None:
    file.write_text(written(membership(broker=broker)))
    monkeypatch.setenv(VARIABLE, str(file))
    with pytest.raises(UsageError, match="no TLS") as caught:
        load()
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "broker", ["redis://127.0.0.1:6390/0", "redis://[::1]/0", "redis://localhost"]
)
def test_on_this_machine_there_need_be_none(
    file: Path, monkeypatch: pytest.MonkeyPatch, broker: str
) -> None:
    file.write_text(written(membership(broker=broker)))
    monkeypatch.setenv(VARIABLE, str(file))
    assert load().broker.tls() is None


@pytest.mark.parametrize(
    ("variable", "broker"),
    [
        ("false", "rediss://broker.test:6390/0"),
        ("true", "rediss://broker.test:6390/0?ssl_cert_reqs=none"),
    ],
)
def test_nothing_turns_the_check_of_its_certificate_off(
    file: Path, monkeypatch: pytest.MonkeyPatch, variable: str, broker: str
) -> None:
    file.write_text(written(membership(broker=broker)))
    monkeypatch.setenv(VARIABLE, str(file))
    monkeypatch.setenv("P2C2G_BROKER_VERIFY", variable)
    tls = load().broker.tls()
    assert tls is not None
    assert tls["ssl_check_hostname"]
    assert tls["ssl_cert_reqs"] == ssl.CERT_REQUIRED
