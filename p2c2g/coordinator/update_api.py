"""Releases, by the API: peers ask for them and say what became of them, operators stop them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, RootModel

from p2c2g.coordinator.access import ActorDep, ServicesDep, require
from p2c2g.coordinator.accounts import Identity
from p2c2g.coordinator.enrolment_api import MemberDep
from p2c2g.coordinator.keys import Scope
from p2c2g.coordinator.models import MAX_REASON
from p2c2g.coordinator.releases import Releases, Told
from p2c2g.updating.manifest import (
    RELEASE,
    RELEASES,
    REPORT,
    WHEEL,
    Noted,
    Offer,
    Report,
    Serial,
    Sha256,
)

#: For who shows a key.
router = APIRouter(tags=["releases"])
#: For who shows the token of a membership instead.
members = APIRouter(tags=["releases"])

#: Wheels that a peer is sent a minute: of one release, and once more.
_WHEELS_PER_MINUTE: Final = 16
#: Bytes that are handed on at once.
_PART: Final = 1 << 16

Readers = Annotated[Identity, Depends(require(Scope.POOL_READ))]
Operators = Annotated[Identity, Depends(require(Scope.POOL_WRITE))]
SerialPath = Annotated[Serial, Path(examples=[3])]
DigestPath = Annotated[Sha256, Path(examples=["0" * 64])]


class Stop(BaseModel):
    """Why a release is stopped."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "It loses frames."}]}
    )

    reason: Annotated[
        str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", min_length=1, max_length=MAX_REASON)
    ]


class ShownRelease(BaseModel):
    """A release, and how many peers have reported what of it."""

    serial: int
    version: str
    share: float
    published: float
    expires: float
    note: str
    stopped: float | None
    stop_reason: str
    good: int
    failed: int
    unable: int
    why: list[str] = Field(description="What the last peers say at which it did not work.")

    @classmethod
    def of(cls, told: Told) -> ShownRelease:
        """Return what an operator sees of one."""
        said = told.manifest
        return cls(
            serial=said.serial, version=said.version, share=said.share, published=told.at,
            expires=said.expires, note=said.note, stopped=told.stopped,
            stop_reason=told.stop_reason, good=told.good, failed=told.failed, unable=told.unable,
            why=list(told.why),
        )  # fmt: skip


class ShownReleases(RootModel[list[ShownRelease]]):
    """Releases, the newest first."""


def releases_of(request: Request) -> Releases:
    """Return the pool's releases."""
    found: Releases = request.app.state.releases
    return found


ReleasesDep = Annotated[Releases, Depends(releases_of)]


def _peer(releases: ReleasesDep, member: MemberDep) -> str:
    releases.check_peer(member)
    return member


PeerDep = Annotated[str, Depends(_peer)]

#: A wheel's bytes, for the description.
_BYTES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}
}


@members.get(RELEASE)
def offer(releases: ReleasesDep, _: PeerDep) -> Offer:
    """Say what there is to be installed: as its operator has signed it."""
    return releases.offer()


@members.get(WHEEL, response_class=StreamingResponse, responses=_BYTES)
def wheel(
    services: ServicesDep, releases: ReleasesDep, member: PeerDep, sha256: DigestPath
) -> StreamingResponse:
    """Give a wheel of a release."""
    services.limiter.count("wheel", _WHEELS_PER_MINUTE, member)
    data = releases.wheel(sha256)
    return StreamingResponse(
        _parts(data),
        media_type="application/octet-stream",
        headers={"Content-Length": str(len(data))},
    )


@members.post(REPORT, status_code=201)
def report(releases: ReleasesDep, member: PeerDep, said: Report) -> Noted:
    """Say what became of a release at a peer; where it fails at too many, it is stopped."""
    return releases.report(member, said)


@router.get(RELEASES)
def list_releases(releases: ReleasesDep, _: Readers) -> ShownReleases:
    """List the releases, and what peers have reported of them."""
    return ShownReleases([ShownRelease.of(each) for each in releases.list()])


@router.post(RELEASES + "/{serial}/stop")
def stop(
    releases: ReleasesDep, _: Operators, actor: ActorDep, serial: SerialPath, why: Stop
) -> Noted:
    """Offer a release no more; who has it keeps it."""
    releases.stop(serial, why.reason, actor)
    return Noted(stopped=True)


def _parts(data: bytes) -> Iterator[bytes]:
    whole = memoryview(data)
    for start in range(0, len(data), _PART):
        yield bytes(whole[start : start + _PART])
