"""The settings of a lent machine: what each is, what is right of it, and what is usual."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
)
from pydantic.fields import FieldInfo

from p2c2g.commands.guest import Hours, Limits, parse_share
from p2c2g.errors import UsageError
from p2c2g.joining.address import PoolAddress
from p2c2g.messaging.labels import MAX_REGION, parse_label

#: The page's port; the next free one is taken where another program has it.
PAGE_PORT: Final = 8779
_QUEUES: Final = ("cpu", "gpu", "train")


def _by(read: Callable[[str], object]) -> AfterValidator:
    """Return a check of a text by what raises our own errors; "" says nothing, and passes."""

    def check(text: str) -> str:
        try:
            if text:
                read(text)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return text

    return AfterValidator(check)


def _queues(names: list[str]) -> list[str]:
    if not names or any(name not in _QUEUES for name in names):
        raise ValueError("an unknown queue")
    return list(dict.fromkeys(names))


def _mbps(number: float) -> float:
    if 0 < number < 0.1:
        raise ValueError("too little")
    return number


def _said(right: str, text: str, **more: Any) -> Any:
    """Return a field: what would be right of it, and its comment in the file."""
    return Field(description=text, json_schema_extra={"right": right}, **more)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PoolPart(_Part):
    """Which pool it is lent to: an open one's coordinator, or a broker of one's own."""

    join: Annotated[StrictStr, _by(PoolAddress.parse)] = _said(
        "its coordinator's address, such as 'https://pool.example.org', or '' for a pool of your "
        "own",
        "The open pool's coordinator. Empty: a pool of your own, whose broker's URL is in "
        "broker.url beside this file.",
        default="",
        max_length=500,
    )


class PeerPart(_Part):
    """How this peer is called, and what it serves."""

    name: Annotated[StrictStr, _by(parse_label)] = _said(
        "a name of letters, digits, spaces and . - _ such as 'attic'",
        "What people call it.",
        default="peer",
        min_length=1,
    )
    region: Annotated[StrictStr, _by(lambda text: parse_label(text, MAX_REGION, "region"))] = _said(
        "a place as people call it, such as 'berlin', or '' for none",
        "Where it is, as people call it, such as berlin.",
        default="",
    )
    queues: Annotated[list[StrictStr], AfterValidator(_queues)] = _said(
        "one or more of 'cpu', 'gpu' and 'train', such as ['cpu']",
        "What it works on: cpu, gpu, and train in a pool of your own.",
        default=["cpu"],
    )
    slots: StrictInt = _said(
        "chunks at once from 1 to 256, or 0 for one a core",
        "Chunks at once; 0: one a core, fewer where max_cpu says so.",
        default=0,
        ge=0,
        le=256,
    )
    cpu_fallback: StrictBool = _said(
        "true or false",
        "Whether to serve cpu where gpu is asked for and no card is found.",
        default=False,
    )


class LimitsPart(_Part):
    """How much of the machine may be used, and when.  These hold at once."""

    max_cpu: Annotated[StrictStr, _by(parse_share)] = _said(
        "a share of the CPU from '0.1%' to '100%', or '' for no limit",
        "Of the machine's CPU at most, such as 50%. Empty: no limit.",
        default="",
    )
    only_idle: StrictBool = _said(
        "true or false", "Work only while nobody else uses the machine.", default=False
    )
    hours: Annotated[StrictStr, _by(Hours.parse)] = _said(
        "two different times of the day as 'FROM-TO', such as '22-7' or '8:30-17', or '' for "
        "always",
        "Only at these hours of the machine's own clock, such as 22-7. Empty: always.",
        default="",
    )
    max_mbps: Annotated[StrictInt | StrictFloat, AfterValidator(_mbps)] = _said(
        "megabits a second from 0.1 to 100000, or 0 for no limit",
        "Megabits a second of the line at most, up and down each. 0: no limit.",
        default=0,
        ge=0,
        le=100_000,
        allow_inf_nan=False,
    )

    def limits(self) -> Limits:
        """Return them as a worker takes them."""
        return Limits.parse(
            max_cpu=self.max_cpu, only_idle=self.only_idle, hours=self.hours,
            max_mbps=f"{self.max_mbps:f}" if self.max_mbps else None,
        )  # fmt: skip


class PagePart(_Part):
    """The peer's own page, for browsers of this machine alone."""

    show: StrictBool = _said("true or false", "Whether there is one.", default=True)
    port: StrictInt = _said(
        "a port from 1 to 65535, or 0 for any free one",
        "Its port at 127.0.0.1; another free one is taken where it is in use.",
        default=PAGE_PORT,
        ge=0,
        le=65_535,
    )


class UpdatesPart(_Part):
    """New versions."""

    automatic: StrictBool = _said(
        "true or false",
        "Whether to take the versions that the pool's operator has signed.",
        default=True,
    )


class PeerConfig(_Part):
    """The whole of it."""

    pool: PoolPart = PoolPart()
    peer: PeerPart = PeerPart()
    limits: LimitsPart = LimitsPart()
    page: PagePart = PagePart()
    updates: UpdatesPart = UpdatesPart()

    @classmethod
    def of(cls, changes: Mapping[str, Any]) -> PeerConfig:
        """Return one with some values, by names such as ``limits.max_cpu``, and else the usual.

        Raises:
            UsageError: there is no such setting, or the value is wrong.
        """
        values: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            part, _, key = name.partition(".")
            values.setdefault(part, {})[key] = value
        return checked(values, "")


def settings() -> Iterator[tuple[str, FieldInfo]]:
    """Yield each setting's name, such as ``limits.max_cpu``, and its field, in order."""
    for part, field in PeerConfig.model_fields.items():
        kind: Any = field.annotation
        for key, inner in kind.model_fields.items():
            yield f"{part}.{key}", inner


def value_of(config: PeerConfig, name: str) -> Any:
    """Return a setting's value by its name."""
    part, _, key = name.partition(".")
    return getattr(getattr(config, part), key)


def checked(values: Mapping[str, Any], where: str) -> PeerConfig:
    """Return what was written as tables.

    Args:
        values: the tables.
        where: they stand; "" where that need not be said.

    Raises:
        UsageError: there is no such setting, or its value is wrong.
    """
    try:
        return PeerConfig.model_validate(values)
    except ValidationError as error:
        raise UsageError(_sentence(error, where)) from error


def _sentence(error: ValidationError, where: str) -> str:
    """Return what is wrong first, and what would be right."""
    first = error.errors(include_url=False, include_context=False)[0]
    name = ".".join(str(each) for each in first["loc"][:2])
    place = f" in {where}" if where else ""
    rights = _rights()
    if first["type"] == "extra_forbidden":
        known = rights if "." in name else PeerConfig.model_fields
        near = difflib.get_close_matches(name, known, 1, 0.5)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
        return f"{name}{place} is no setting: {advice}"
    if name in rights:
        return f"{name}{place} is {_shown(first['input'])}: give {rights[name]}."
    return f"{name}{place} has to be a table of settings, which begins with [{name}]."


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 100 else text[:99] + "…"


def _rights() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, field in settings():
        extra: Any = field.json_schema_extra
        found[name] = extra["right"]
    return found
