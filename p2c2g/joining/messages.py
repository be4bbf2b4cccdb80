"""What a member and a coordinator say to each other, over HTTPS as JSON.

Who asks shows a bearer: a key of an account to join or to play, and afterwards the token of its
membership.  Both sides have these models: what does not fit them is refused whole.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from p2c2g.peers.standing import PublicKey, Signature, Verdict

#: Bytes of one message either way at most.
MAX_MESSAGE: Final = 65_536
#: Paths below the coordinator's address.
PEERS: Final = "/v1/peers"
GAMERS: Final = "/v1/gamers"
MEMBERSHIP: Final = "/v1/membership"
EVIDENCE: Final = "/v1/evidence"
HEALTH: Final = "/healthz"

#: What people call something: safe in a terminal, a page and a log.
Label = Annotated[str, Field(max_length=64, pattern=r"^[\w .@+-]*$")]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Join(_Message):
    """A machine wants to be a peer; ``proof`` is by the key (:mod:`p2c2g.joining.proof`)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"key": "A" * 43 + "=", "proof": "A" * 86 + "==", "label": "attic"}]
        }
    )

    key: PublicKey
    proof: Signature
    label: Label = ""


class Play(_Message):
    """A gamer wants a login for one session."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"label": "desk"}]})

    label: Label = ""


class Given(_Message):
    """A membership as the coordinator gives it; the member adds what only it knows.

    ``lease`` is in seconds, 0 where it does not end by itself; ``operator_key`` is the public key
    by which the operator vouches for peers, ``release_key`` the one that signs releases.
    """

    v: Literal[1] = 1
    role: Literal["peer", "gamer"]
    id: str = Field(max_length=32)
    broker: str = Field(max_length=500)
    user: str = Field(max_length=64)
    password: str = Field(max_length=128)
    prefix: str = Field(max_length=40)
    ca: str = Field(default="", max_length=32_768)
    token: str = Field(max_length=200)
    operator_key: str = Field(default="", max_length=44)
    release_key: str = Field(default="", max_length=44)
    lease: float = Field(ge=0, le=86_400)


class Renewed(_Message):
    """A membership goes on: what may have changed of it, and how its principal stands."""

    broker: str = Field(max_length=500)
    prefix: str = Field(max_length=40)
    ca: str = Field(default="", max_length=32_768)
    lease: float = Field(ge=0, le=86_400)
    verdict: Verdict = Verdict.OK
    reason: str = Field(default="", max_length=200)
    release_key: str = Field(default="", max_length=44)


class Taken(_Message):
    """Evidence was looked at and is kept: what was seen in it."""

    finding: str = Field(max_length=16)


class Refusal(_Message):
    """Why the coordinator does not do what it was asked: one sentence."""

    detail: str = ""
