"""How a member asks its pool's coordinator, and what can become of that."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import BinaryIO, Final, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from p2c2g.errors import PoolRefusesError, PoolUnavailableError, UsageError
from p2c2g.joining import messages
from p2c2g.joining.address import PoolAddress
from p2c2g.joining.messages import MAX_MESSAGE, Refusal

#: Names a file of certificates that sign the coordinator's; the system's count too.
CA_VARIABLE: Final = "P2C2G_POOL_CA"
#: Seconds that one question may take, to connect and for each part of the answer.
PATIENCE: Final = 10.0
#: So many times that, a whole answer may take.
_WHOLE: Final = 3
#: Bytes a second of a file at least.
_SLOWEST: Final = 16_384
#: Answers after which the same question may be answered otherwise later.
_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Letters of a stranger's sentence that are shown.
_MOST_SHOWN: Final = 300

Answer = TypeVar("Answer", bound=BaseModel)


class PoolClient:
    """Asks one coordinator.  Closed where its ``with`` block ends.

    The coordinator's certificate is always verified; no redirect is followed, since the next one
    would be shown the key; an answer has :data:`~p2c2g.joining.messages.MAX_MESSAGE` bytes at most,
    where nothing else is said.

    Args:
        address: the coordinator's.
        ca: certificates in PEM that may sign its own, beside the system's and those of the file
            that :data:`CA_VARIABLE` names.
        patience: seconds that it is waited for.

    Raises:
        UsageError: what the variable names holds no certificates, or a proxy cannot be used.
    """

    def __init__(self, address: PoolAddress, ca: str = "", patience: float = PATIENCE) -> None:
        self._address = address
        self._patience = patience
        try:
            self._http = httpx.Client(
                verify=trust(ca),
                timeout=patience,
                # Without TLS a proxy would read the key; then it is this machine, and needs none.
                trust_env=address.has_tls,
                headers={"User-Agent": "p2c2g", "Accept-Encoding": "identity"},
            )
        except (ImportError, ValueError) as error:
            raise UsageError(
                f"The proxy that the environment names cannot be used ({error}): HTTPS_PROXY or "
                "ALL_PROXY has to begin with http:// or https://."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections.  Closing twice is fine."""
        self._http.close()

    def reach(self) -> float:
        """Ask whether the coordinator is there, which needs no key; return the seconds it took.

        Raises:
            PoolUnavailableError: it does not answer, or something else does.
        """
        began = monotonic()
        self._ask("GET", messages.HEALTH, "-", None)
        return monotonic() - began

    def post(self, path: str, bearer: str, said: BaseModel | None, answer: type[Answer]) -> Answer:
        """Ask for something, and return the answer.

        Args:
            path: below the coordinator's address.
            bearer: key or token that is shown.
            said: the message, if there is one.
            answer: what is expected.

        Raises:
            PoolUnavailableError: the coordinator does not answer, or cannot just now.
            PoolRefusesError: it refuses; the sentence is its own.
        """
        return self._answer(self._ask("POST", path, bearer, said), answer)

    def get(
        self, path: str, bearer: str, answer: type[Answer], *, most: int = MAX_MESSAGE
    ) -> Answer:
        """Ask what there is, and return the answer.

        Args:
            path: below the coordinator's address.
            bearer: key or token that is shown.
            answer: what is expected.
            most: bytes of it at most.

        Raises:
            PoolUnavailableError: as :meth:`post`.
            PoolRefusesError: as :meth:`post`.
        """
        return self._answer(self._ask("GET", path, bearer, None, most), answer)

    def save(self, path: str, bearer: str, into: BinaryIO, size: int) -> None:
        """Write what there is into a file, as it comes.

        Args:
            path: below the coordinator's address.
            bearer: key or token that is shown.
            into: what it is written to.
            size: bytes that it has; another number is none of it.

        Raises:
            PoolUnavailableError: as :meth:`post`, or it has another size, or comes too slowly.
            PoolRefusesError: as :meth:`post`.
            OSError: it cannot be written.
        """
        got, until = 0, monotonic() + _WHOLE * self._patience + size / _SLOWEST
        url, headers = self._address.url, _shown(bearer)
        try:
            with self._http.stream("GET", f"{url}{path}", headers=headers) as response:
                if response.status_code != 200:
                    whole = b""
                    for part in response.iter_raw():
                        whole += part
                        if len(whole) > MAX_MESSAGE or monotonic() > until:
                            break
                    raise self._refused(response, whole[:MAX_MESSAGE])
                for part in response.iter_raw():
                    got += len(part)
                    if got > size or monotonic() > until:
                        break
                    into.write(part)
        except httpx.HTTPError as error:
            raise PoolUnavailableError(_sentence(url, error)) from error
        if got != size:
            raise PoolUnavailableError(
                f"What the pool at {url} sent is not what it offered: {got} bytes in place of "
                f"{size}."
            )

    def _answer(self, data: bytes, answer: type[Answer]) -> Answer:
        try:
            return answer.model_validate_json(data)
        except ValidationError as error:
            raise PoolUnavailableError(f"{_stranger(self._address.url)}.") from error

    def delete(self, path: str, bearer: str) -> None:
        """Ask to end something.

        Raises:
            PoolUnavailableError: as :meth:`post`.
            PoolRefusesError: as :meth:`post`.
        """
        self._ask("DELETE", path, bearer, None)

    def _ask(
        self,
        method: str,
        path: str,
        bearer: str,
        said: BaseModel | None,
        most: int = MAX_MESSAGE,
    ) -> bytes:
        headers = _shown(bearer)
        content = None
        if said is not None:
            headers["Content-Type"] = "application/json"
            content = said.model_dump_json()
        url = self._address.url
        try:
            with self._http.stream(
                method, f"{url}{path}", headers=headers, content=content
            ) as response:
                data, until = b"", monotonic() + _WHOLE * self._patience
                # As it came: nothing is decompressed.
                for part in response.iter_raw():
                    data += part
                    if len(data) > most or monotonic() > until:
                        raise PoolUnavailableError(f"{_stranger(url)}.")
        except httpx.HTTPError as error:
            raise PoolUnavailableError(_sentence(url, error)) from error
        if response.is_success:
            return data
        raise self._refused(response, data)

    def _refused(self, response: httpx.Response, data: bytes) -> PoolUnavailableError:
        """Return what an answer says that is none."""
        url, status = self._address.url, response.status_code
        retry = response.headers.get("Retry-After", "")
        detail = _detail(data)
        if not detail and status not in _LATER:
            # A proxy's page, or somebody else's server: it says nothing of who is a member.
            return PoolUnavailableError(f"{_stranger(url)} (its answer is {status}).")
        told = f"The pool at {url} refuses: {detail or f'its answer is {status}.'}"
        if status in _LATER:
            later = f" Try again in {retry} s." if retry.isdigit() and len(retry) < 6 else ""
            return PoolUnavailableError(told + later)
        return PoolRefusesError(told)


def _shown(bearer: str) -> dict[str, str]:
    """Return the header that shows a key or a token.

    Raises:
        UsageError: it is none.
    """
    if not bearer.isascii() or not bearer.isprintable() or " " in bearer:
        raise UsageError("That is no key and no token: they are letters and digits alone.")
    return {"Authorization": f"Bearer {bearer}"}


def trust(ca: str = "") -> ssl.SSLContext:
    """Return whose certificates a coordinator may have.

    Args:
        ca: certificates in PEM that may sign its own, beside the system's and those of the file
            that :data:`CA_VARIABLE` names.

    Raises:
        UsageError: one of those holds no certificates.
    """
    context = ssl.create_default_context()
    named = os.environ.get(CA_VARIABLE)
    if named:
        try:
            context.load_verify_locations(cafile=Path(named))
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"{CA_VARIABLE} names {named!r}, which cannot be read as certificates: give a file "
                "of them in PEM."
            ) from error
    if ca:
        try:
            context.load_verify_locations(cadata=ca)
        except (ValueError, ssl.SSLError) as error:
            raise UsageError(
                "The membership holds certificates that cannot be read: join again."
            ) from error
    return context


def _sentence(url: str, error: httpx.HTTPError) -> str:
    """Return what happened, with what would be right where that can be told."""
    reason = " ".join(str(error).split()) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return (
            f"The pool at {url} has a certificate that is not trusted ({reason[:_MOST_SHOWN]}): if "
            f"its operator made it, name the operator's ca.crt as {CA_VARIABLE}."
        )
    return f"The pool's coordinator at {url} does not answer: {reason[:_MOST_SHOWN]}."


def _stranger(url: str) -> str:
    return (
        f"What answers at {url} is no coordinator that this version knows: look at the address, or "
        "update P2C2G"
    )


def _detail(data: bytes) -> str:
    """Return the coordinator's own sentence, printable and short; "" where there is none."""
    try:
        said = Refusal.model_validate_json(data).detail
    except ValidationError:
        return ""
    return "".join(letter for letter in said if letter.isprintable())[:_MOST_SHOWN].strip()
