"""Certificates for trying out a pool over TLS: an authority, and what it signs for servers.

What a pool in the open has comes from a public authority, by the proxy in front of it (ACME).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from p2c2g.errors import UsageError
from p2c2g.system.files import write_whole
from p2c2g.system.secrets import write_private

#: Clocks of other machines may be slow by so much.
_SLACK: Final = timedelta(hours=1)
#: Days for which an authority is valid, where nothing else is said.
_AUTHORITY_DAYS: Final = 365
_AUTHORITY: Final = "P2C2G development authority"
#: Names that every server's certificate has: it is tried out on its own machine first.
_OWN_NAMES: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of one certificate and its key, in PEM."""

    certificate: Path
    key: Path

    @classmethod
    def in_folder(cls, folder: Path, name: str) -> Pair:
        """Return the pair of that name in a folder; it need not be there."""
        return cls(folder / f"{name}.crt", folder / f"{name}.key")


class Authority:
    """Signs servers' certificates.

    Args:
        certificate: its own.
        key: its private key.
    """

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def at(cls, pair: Pair, now: datetime, days: int = _AUTHORITY_DAYS) -> tuple[Authority, bool]:
        """Return the authority whose files these are, made where there is none or it is old.

        Args:
            pair: the files.
            now: the time, with its zone.
            days: for which a new one is valid.

        Returns:
            the authority, and whether it is a new one.

        Raises:
            UsageError: the files are no authority's.
            OSError: they cannot be read or written.
        """
        if pair.certificate.exists() and pair.key.exists():
            found = _read(pair)
            if found._certificate.not_valid_after_utc > now + timedelta(days=1):
                return found, False
        made = _new_authority(now, days)
        _write(pair, made._certificate, made._key)
        return made, True

    def issue(self, pair: Pair, hosts: Sequence[str], now: datetime, days: int) -> None:
        """Write a server's key and certificate.

        Args:
            pair: where to.
            hosts: names and addresses by which clients know the server; its own are added.
            now: the time, with its zone.
            days: for which it is valid, the authority's at most.

        Raises:
            UsageError: a host is neither a name nor an address.
            OSError: they cannot be written.
        """
        names = [_name(host) for host in dict.fromkeys((*hosts, *_OWN_NAMES))]
        key = ec.generate_private_key(ec.SECP256R1())
        until = min(now + timedelta(days=days), self._certificate.not_valid_after_utc)
        builder = _builder(hosts[0] if hosts else "localhost", key, now, until)
        builder = builder.issuer_name(self._certificate.subject)
        for extension, critical in (
            (x509.SubjectAlternativeName(names), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(signs=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        _write(pair, builder.sign(self._key, hashes.SHA256()), key)


def _new_authority(now: datetime, days: int) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_AUTHORITY, key, now, now + timedelta(days=days))
    builder = builder.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _AUTHORITY)]))
    for extension, critical in (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_usage(signs=True), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return Authority(builder.sign(key, hashes.SHA256()), key)


def _builder(
    subject: str, key: ec.EllipticCurvePrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        # A common name has 64 characters at most; clients read the alternative names.
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(until)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    try:
        name = host.strip().rstrip(".").encode("idna").decode()
    except UnicodeError:
        name = ""
    if not name or any(not (each.isalnum() or each in "-._") for each in name):
        raise UsageError(
            f"{host[:80]!r} is no host: give a name or an address alone, such as pool.example.org "
            "or 192.0.2.7, without https:// and without a port."
        )
    return x509.DNSName(name)


def _read(pair: Pair) -> Authority:
    wrong = UsageError(
        f"{str(pair.certificate)!r} and {str(pair.key)!r} are no authority's certificate and key: "
        "give another folder, or delete them and have every member trust the new one."
    )
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        key = load_pem_private_key(pair.key.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise wrong from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise wrong
    if key.public_key() != certificate.public_key():
        raise wrong
    return Authority(certificate, key)


def _write(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(pair.key, secret)
    write_whole(pair.certificate, certificate.public_bytes(Encoding.PEM))
