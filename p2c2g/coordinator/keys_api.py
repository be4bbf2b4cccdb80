"""Keys and accounts, by the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel

from p2c2g.coordinator.access import ActorDep, IdentityDep, ServicesDep, require
from p2c2g.coordinator.accounts import Accounts, ForbiddenError, Identity
from p2c2g.coordinator.audit import Actor
from p2c2g.coordinator.keys import KeyRole, Scope
from p2c2g.coordinator.models import AccountRow, KeyRow

router = APIRouter(prefix="/v1", tags=["keys"])

#: Days that a key may last.
MAX_DAYS = 3_660

KeyId = Annotated[str, Path(pattern=r"^[0-9A-Za-z]{12}$", examples=["5fQ2mZ81xLpA"])]
AccountId = Annotated[str, Path(pattern=r"^[a-z][a-z0-9]{19}$", examples=["k3v9m2x8q1w7e5r4t6y0"])]
_NAME = r"^[\w][\w .@+-]{0,62}[\w.]$|^\w$"
_LABEL = r"^[\w .@+-]{0,64}$"


def _fits(pattern: str) -> Callable[[str], str]:
    def fitting(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError("give at most 64 letters, digits, spaces and . @ + - _")
        return text

    return fitting


# Safe in a terminal, a page and a log.
Name = Annotated[str, Field(json_schema_extra={"pattern": _NAME}), AfterValidator(_fits(_NAME))]
Label = Annotated[str, Field(json_schema_extra={"pattern": _LABEL}), AfterValidator(_fits(_LABEL))]
Readers = Annotated[Identity, Depends(require(Scope.KEYS_READ))]
Writers = Annotated[Identity, Depends(require(Scope.KEYS_WRITE))]


class NewKey(BaseModel):
    """A key that is wanted."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"account": "ada", "role": "gamer", "days": 90}]},
    )

    account: Name = Field(description="The account's name; made where there is none.")
    role: KeyRole
    label: Label = ""
    scopes: Annotated[list[Scope], Field(max_length=16)] | None = Field(
        default=None, description="What it is for; all that the role allows where not given."
    )
    days: Annotated[float, Field(gt=0, le=MAX_DAYS)] | None = Field(
        default=None, description="After how many days it expires; never where not given."
    )
    uses: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="How many machines it can let in; any number where not given."
    )


class ShownKey(BaseModel):
    """A key, as it may be seen."""

    id: str
    account: str
    account_id: str
    role: str
    scopes: list[str]
    label: str
    created: float
    created_by: str
    expires: float | None
    revoked: float | None
    last_used: float | None
    uses: int | None

    @classmethod
    def of(cls, row: KeyRow) -> ShownKey:
        """Return what may be seen of a key."""
        return cls(
            id=row.id, account=row.account.name, account_id=row.account_id, role=row.role,
            scopes=row.scopes.split(), label=row.label, created=row.created,
            created_by=row.created_by, expires=row.expires, revoked=row.revoked,
            last_used=row.last_used, uses=row.uses,
        )  # fmt: skip


class MadeKey(ShownKey):
    """A key that was just made; nobody can read it again."""

    key: str = Field(description="The key itself, this once.")


class ShownKeys(RootModel[list[ShownKey]]):
    """Keys, the newest first."""


class Me(BaseModel):
    """Whose key this is."""

    key_id: str
    account: str
    account_id: str
    role: KeyRole
    scopes: list[Scope]
    expires: float | None


class ShownAccount(BaseModel):
    """An account."""

    id: str
    name: str
    created: float
    disabled: float | None

    @classmethod
    def of(cls, row: AccountRow) -> ShownAccount:
        """Return what may be seen of an account."""
        return cls(id=row.id, name=row.name, created=row.created, disabled=row.disabled)


@router.get("/me")
def me(identity: IdentityDep) -> Me:
    """Say whose key this is, and what it is for."""
    return Me(
        key_id=identity.key_id,
        account=identity.account,
        account_id=identity.account_id,
        role=identity.role,
        scopes=sorted(identity.scopes, key=lambda scope: scope.value),
        expires=identity.expires,
    )


@router.get("/keys")
def list_keys(
    services: ServicesDep,
    identity: IdentityDep,
    account_id: Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9]{19}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> ShownKeys:
    """List all keys, or those of one's own account where the key is not for more."""
    if Scope.KEYS_READ not in identity.scopes:
        if Scope.OWN not in identity.scopes or account_id not in (None, identity.account_id):
            raise ForbiddenError("Only an operator may see the keys of other accounts.")
        account_id = identity.account_id
    rows = services.accounts.list_keys(account_id, limit)
    return ShownKeys([ShownKey.of(row) for row in rows])


@router.post("/keys", status_code=201)
def create_key(services: ServicesDep, _: Writers, actor: ActorDep, wanted: NewKey) -> MadeKey:
    """Make a key.  It is told this once."""
    return made(services.accounts, wanted, actor)


@router.delete("/keys/{key_id}", status_code=204)
def revoke_key(
    services: ServicesDep, identity: IdentityDep, actor: ActorDep, key_id: KeyId
) -> None:
    """Revoke a key at once, with all that signed in or joined by it.  Any key may end itself."""
    if Scope.KEYS_WRITE not in identity.scopes and key_id != identity.key_id:
        raise ForbiddenError("Only an operator may revoke other keys than this one.")
    services.gate.settle(services.accounts.revoke(key_id, actor))


@router.get("/accounts")
def list_accounts(
    services: ServicesDep,
    _: Readers,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 1_000,
    after: Annotated[str, Query(pattern=_LABEL)] = "",
) -> list[ShownAccount]:
    """List accounts by name; ``after`` is the name of the last that was read."""
    return [ShownAccount.of(row) for row in services.accounts.list_accounts(limit, after)]


@router.post("/accounts/{account_id}/disable", status_code=204)
def disable_account(
    services: ServicesDep, _: Writers, actor: ActorDep, account_id: AccountId
) -> None:
    """Shut an account out: its keys count no more, and its machines leave at once."""
    services.gate.settle(services.accounts.disable(account_id, True, actor))


@router.post("/accounts/{account_id}/enable", status_code=204)
def enable_account(
    services: ServicesDep, _: Writers, actor: ActorDep, account_id: AccountId
) -> None:
    """Let an account in again."""
    services.gate.settle(services.accounts.disable(account_id, False, actor))


def made(accounts: Accounts, wanted: NewKey, actor: Actor) -> MadeKey:
    """Make a key, for the API and the command alike.

    Raises:
        UsageError: a scope is not the role's.
    """
    row, text = accounts.create_key(
        wanted.account,
        wanted.role,
        actor,
        scopes=wanted.scopes,
        label=wanted.label,
        lifetime=None if wanted.days is None else wanted.days * 86_400,
        uses=wanted.uses,
    )
    return MadeKey(key=text, **ShownKey.of(row).model_dump())
