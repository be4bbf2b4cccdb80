"""What an operator says of a release, and what a coordinator and its peers say about that.

A manifest is JSON in a signed envelope (:mod:`p2c2g.updating.signing`); nothing of it is read
before its signature is right.  Both sides have these models: what does not fit is refused whole.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from p2c2g.peers.standing import PublicKey

#: Bytes of an envelope at most, of a wheel, and of all wheels of a release.
MAX_ENVELOPE: Final = 32_768
MAX_WHEEL: Final = 64 << 20
MAX_WHEELS: Final = 128 << 20
#: Changes of the key that a coordinator tells of at most.
MAX_CHANGES: Final = 16
#: Bytes of what a coordinator offers at most.
MAX_OFFER: Final = 2 * (MAX_CHANGES + 1) * MAX_ENVELOPE
#: The project that is released.
PROJECT: Final = "p2c2g"
#: Letters of a reason or a note at most.
MAX_TEXT: Final = 200

#: Paths below the coordinator's address: what is offered, a wheel of it, what became of it; and
#: for operators, all releases.
RELEASE: Final = "/v1/release"
WHEEL: Final = "/v1/release/wheels/{sha256}"
REPORT: Final = "/v1/release/report"
RELEASES: Final = "/v1/releases"

_WHEEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.!+-]{0,150}\.whl")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
#: One printable line.
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", max_length=MAX_TEXT)]
Moment = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
Serial = Annotated[int, Field(ge=1, lt=2**53)]


def _version(text: str) -> str:
    try:
        if str(Version(text)) == text:
            return text
    except InvalidVersion:
        pass
    raise ValueError("it is no version as Python packages have it")


def _python(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError("it names no versions of Python") from error
    return text


Release = Annotated[str, Field(max_length=64), AfterValidator(_version)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Wheel(_Said):
    """A wheel's file: its name, SHA-256 and bytes."""

    name: str
    sha256: Sha256
    size: Annotated[int, Field(ge=1, le=MAX_WHEEL)]

    @property
    def project(self) -> str:
        """Return whose wheel it is."""
        return str(parse_wheel_filename(self.name)[0])

    @property
    def version(self) -> Version:
        """Return of which version it is."""
        return parse_wheel_filename(self.name)[1]

    @model_validator(mode="after")
    def _is_a_wheel(self) -> Self:
        # A name becomes a file's: no folder, and nothing that a program takes for an option.
        if not _WHEEL_NAME.fullmatch(self.name):
            raise ValueError("it has no wheel's name")
        try:
            parse_wheel_filename(self.name)
        except InvalidWheelFilename as error:
            raise ValueError("it has no wheel's name") from error
        return self


class Manifest(_Said):
    """A release, and who is to have it.

    Args:
        serial: of what an operator says; it never goes back.
        version: what peers are to run.
        wheels: what is installed, one of the project itself and others that it brings.
        share: of all peers that are to have it now, 0 to 1.
        python: which Pythons it runs on.
        issued: when it was signed, in seconds since 1970.
        expires: when it counts no more.
        note: what is new, in a line.
    """

    v: Literal[1] = 1
    serial: Serial
    version: Release
    wheels: Annotated[tuple[Wheel, ...], Field(min_length=1, max_length=8)]
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    python: Annotated[str, Field(max_length=64), AfterValidator(_python)] = ">=3.11"
    issued: Moment
    expires: Moment
    note: Line = ""

    @property
    def main(self) -> Wheel:
        """Return the project's own wheel."""
        return next(each for each in self.wheels if each.project == PROJECT)

    @property
    def size(self) -> int:
        """Return the bytes of all its wheels."""
        return sum(each.size for each in self.wheels)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        own = [each for each in self.wheels if each.project == PROJECT]
        if len(own) != 1 or own[0].version != Version(self.version):
            raise ValueError(f"one of its wheels has to be {PROJECT}'s, of its version")
        if len({each.project for each in self.wheels}) != len(self.wheels):
            raise ValueError("two of its wheels are of one project")
        if self.size > MAX_WHEELS:
            raise ValueError(f"its wheels have {self.size} bytes, where {MAX_WHEELS} are the most")
        if self.expires <= self.issued:
            raise ValueError("it expires before it is issued")
        return self


class KeyChange(_Said):
    """From now on another key signs; signed by the one before and by itself.

    Args:
        number: 1 for the first change of a pool's key, and so on.
        before: the public key until then.
        after: the public key from then on.
    """

    v: Literal[1] = 1
    number: Annotated[int, Field(ge=1, le=10_000)]
    before: PublicKey
    after: PublicKey


class Offer(BaseModel):
    """What a coordinator offers a peer: envelopes, as they were signed.

    Args:
        changes: of the key, the oldest first; the last :data:`MAX_CHANGES`.
        manifest: of the newest release; None where there is none, or it was stopped.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    changes: Annotated[
        tuple[Annotated[str, Field(max_length=MAX_ENVELOPE)], ...], Field(max_length=MAX_CHANGES)
    ] = ()
    manifest: Annotated[str, Field(max_length=MAX_ENVELOPE)] | None = None


class Result(StrEnum):
    """What became of a release at a peer."""

    GOOD = "good"  # it works there
    FAILED = "failed"  # it does not, and the peer went back
    UNABLE = "unable"  # the machine could not: no room, say, which is not the release's fault


class Report(_Said):
    """A peer tells what became of a release there."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"serial": 3, "version": "0.2.0", "result": "good"}]}
    )

    serial: Serial
    version: Release
    result: Result
    why: Line = ""


class Noted(BaseModel):
    """A report was taken; ``stopped`` says whether the release is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stopped: bool
