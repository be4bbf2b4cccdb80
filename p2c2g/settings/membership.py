"""What a principal of an open pool keeps: who it is there, and its login at the broker.

A coordinator gives it for a join token (a peer) or for an account's key (a gamer); it lies in a
file that its owner alone may read.  ``P2C2G_MEMBERSHIP`` names the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from p2c2g.errors import UsageError
from p2c2g.settings import secret_file
from p2c2g.settings.principal import Principal, Role

#: Bytes of a membership's file at most.
MAX_MEMBERSHIP = 65_536
#: Names the file.
VARIABLE = "P2C2G_MEMBERSHIP"


class Membership(BaseModel):
    """One principal's place in one open pool.

    ``pool`` is the coordinator's address.  ``broker`` is the broker's, without a login;
    ``user`` and ``password`` are that.  ``ca`` are certificates in PEM that sign the broker's, the
    system's where empty.  ``signing_key`` is a peer's private key (Ed25519, base64 of 32 bytes).
    ``operator_key`` is the public key (likewise) by which the pool's operator says whose key is
    whose.  ``lease`` is the seconds after which the login ends unless it is renewed, 0 for never.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    pool: str
    role: Literal["peer", "gamer"]
    id: str
    broker: str
    user: str
    password: SecretStr
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = "p2c2g"
    ca: str = ""
    signing_key: SecretStr = SecretStr("")
    operator_key: str = Field(default="", pattern=r"^([A-Za-z0-9+/]{43}=)?$")
    #: The public key (likewise) that signs releases, as it was when the peer joined; "" for none.
    release_key: str = Field(default="", pattern=r"^([A-Za-z0-9+/]{43}=)?$")
    #: By which the coordinator knows this principal again, to renew and to leave.
    token: SecretStr = SecretStr("")
    lease: float = Field(default=0.0, ge=0, le=86_400)

    @property
    def principal(self) -> Principal:
        """Return who it makes a process at the broker."""
        return Principal(Role(self.role), self.id)


def read(path: Path) -> Membership:
    """Read a membership from its file.

    Raises:
        UsageError: it is not there, others can read it, or it is no membership.
    """
    named = f"{VARIABLE} names {str(path)!r}, which"
    right = "join a pool with p2c2g peer run --join, or p2c2g-capture run --pool"
    data = secret_file.read(named, path, MAX_MEMBERSHIP, right=right)
    try:
        if len(data) > MAX_MEMBERSHIP:
            raise ValueError("too long")
        return Membership.model_validate_json(data)
    except (ValidationError, ValueError) as error:
        raise UsageError(
            f"{named} is no membership of a pool: join again with p2c2g peer run --join, or "
            "p2c2g-capture run --pool."
        ) from error


def written(membership: Membership) -> str:
    """Return what its file holds, with the secrets."""
    told: dict[str, Any] = membership.model_dump()
    told = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in told.items()
    }
    return json.dumps(told, indent=2) + "\n"
