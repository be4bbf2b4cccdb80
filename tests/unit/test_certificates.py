"""Certificates for development: what they promise, and who may read their keys."""

from __future__ import annotations

import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509

from p2c2g.errors import UsageError
from p2c2g.system.certificates import Authority, Pair

NOW = datetime.now(UTC)


@pytest.fixture
def issued(tmp_path: Path) -> Path:
    """Return a folder with an authority and a server's pair."""
    authority, is_new = Authority.at(Pair.in_folder(tmp_path, "ca"), NOW)
    assert is_new
    authority.issue(
        Pair.in_folder(tmp_path, "server"), ["pool.example.org", "192.0.2.7"], NOW, days=30
    )
    return tmp_path


def handshake(folder: Path, name: str, authority: str = "ca.crt") -> None:
    """Shake hands as a client that asks for a name, with a server of ours."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "server.crt", folder / "server.key")
    client = ssl.create_default_context(cafile=str(folder / authority))
    # What Python 3.13 asks by default.
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", ["pool.example.org", "192.0.2.7", "localhost", "127.0.0.1", "::1"])
def test_a_strict_client_takes_it_by_each_of_its_names(issued: Path, name: str) -> None:
    handshake(issued, name)


def test_another_name_or_another_authority_is_refused(issued: Path, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(issued, "pool.example.com")
    Authority.at(Pair.in_folder(tmp_path, "other"), NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(issued, "localhost", "other.crt")


def test_keys_are_their_owners_alone(issued: Path) -> None:
    for name in ("ca", "server"):
        assert stat.S_IMODE((issued / f"{name}.key").stat().st_mode) == 0o600


def test_a_second_time_the_authority_stays_until_it_is_old(issued: Path) -> None:
    pair = Pair.in_folder(issued, "ca")
    before = pair.certificate.read_bytes()
    _, is_new = Authority.at(pair, NOW + timedelta(days=300))
    assert not is_new
    assert pair.certificate.read_bytes() == before
    _, is_new = Authority.at(pair, NOW + timedelta(days=365))
    assert is_new
    assert pair.certificate.read_bytes() != before


def test_nothing_is_valid_for_longer_than_its_authority(tmp_path: Path) -> None:
    authority, _ = Authority.at(Pair.in_folder(tmp_path, "ca"), NOW)
    authority.issue(Pair.in_folder(tmp_path, "server"), [], NOW, days=900)
    ends = [
        x509.load_pem_x509_certificate((tmp_path / f"{name}.crt").read_bytes()).not_valid_after_utc
        for name in ("ca", "server")
    ]
    assert ends[1] == ends[0]


@pytest.mark.parametrize("host", ["https://pool.example.org", "pool:8443", "", "a b", "x" * 70])
def test_what_is_no_host_is_one_sentence(tmp_path: Path, host: str) -> None:
    authority, _ = Authority.at(Pair.in_folder(tmp_path, "ca"), NOW)
    with pytest.raises(UsageError, match="is no host"):
        authority.issue(Pair.in_folder(tmp_path, "server"), [host], NOW, days=1)


def test_other_files_are_not_written_over(tmp_path: Path) -> None:
    for name in ("ca.crt", "ca.key"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="no authority's"):
        Authority.at(Pair.in_folder(tmp_path, "ca"), NOW)
    assert (tmp_path / "ca.crt").read_text() == "mine"


def test_an_authority_lasts_for_as_long_as_is_asked(tmp_path: Path) -> None:
    pair = Pair.in_folder(tmp_path, "ca")
    Authority.at(pair, NOW, days=3650)
    made = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    assert made.not_valid_after_utc - NOW > timedelta(days=3649)
