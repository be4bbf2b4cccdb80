"""What a guest on somebody's machine promises: how much it uses, and when.

Pure.  This reads the command line's options; the peer's side keeps the promises
(:mod:`p2c2g_workers.guest_policy`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time

from p2c2g.errors import UsageError

_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of the day in minutes after midnight, ``start`` included and ``end`` not.

    It may go past midnight: then ``end`` is below ``start``.
    """

    start: int
    end: int

    def __str__(self) -> str:
        return f"{_clock(self.start)}-{_clock(self.end)}"

    def __contains__(self, moment: time) -> bool:
        """Tell whether a local time of day lies in it."""
        minute = 60 * moment.hour + moment.minute
        return (minute - self.start) % _DAY < (self.end - self.start) % _DAY

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read ``FROM-TO``, such as ``22-7`` or ``8:30-17``.

        Raises:
            UsageError: they are not two different times of the day.
        """
        wrong = UsageError(
            f"{text!r} are no hours: give FROM-TO as two different times of the day, such as "
            "22-7 or 8:30-17."
        )
        part = r"(\d{1,2})(?::([0-5]\d))?"
        match = re.fullmatch(rf"{part}-{part}", text.strip(), re.ASCII)
        if match is None:
            raise wrong
        start, end = (
            60 * int(match[group]) + int(match[group + 1] or 0) for group in (1, 3)
        )  # fmt: skip
        if start >= _DAY or end > _DAY or start == end % _DAY:
            raise wrong
        return cls(start, end % _DAY)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that a guest keeps to; None and False where there is no limit.

    Args:
        max_cpu: its share of the whole machine's CPU, 0.001 to 1.
        only_idle: whether it works only while nobody else uses the machine.
        hours: when it works.
        max_mbps: megabits a second of its line, up and down each.
    """

    max_cpu: float | None = None
    only_idle: bool = False
    hours: Hours | None = None
    max_mbps: float | None = None

    def __bool__(self) -> bool:
        return self != Limits()

    @classmethod
    def parse(
        cls,
        *,
        max_cpu: str | float | None = None,
        only_idle: bool = False,
        hours: str | None = None,
        max_mbps: str | float | None = None,
    ) -> Limits:
        """Read them as the command line has them; what is None or "" is no limit.

        Raises:
            UsageError: one of them is not valid; the sentence says which.
        """
        return cls(
            max_cpu=None if max_cpu in (None, "") else parse_share(str(max_cpu)),
            only_idle=only_idle,
            hours=Hours.parse(hours) if hours else None,
            max_mbps=None if max_mbps in (None, "") else parse_mbps(str(max_mbps)),
        )


def parse_share(text: str) -> float:
    """Read a share such as ``50%`` or ``0.5``.

    Raises:
        UsageError: it is not from 0.1 % to 100 %.
    """
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?|\.\d{1,6})\s*(%?)", text.strip(), re.ASCII)
    share = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0.001 <= share <= 1:
        raise UsageError(
            f"{text!r} is no share of the CPU: give from 0.1% to 100%, such as 50% or 0.5."
        )
    return share


def parse_mbps(text: str) -> float:
    """Read megabits a second, such as ``20`` or ``2.5``.

    Raises:
        UsageError: it is not from 0.1 to 100000.
    """
    match = re.fullmatch(r"\d{1,6}(?:\.\d{1,6})?", text.strip(), re.ASCII)
    value = float(match[0]) if match else 0.0
    if not 0.1 <= value <= 100_000:
        raise UsageError(
            f"{text!r} is no bandwidth: give megabits a second from 0.1 to 100000, such as 20."
        )
    return value


def _clock(minutes: int) -> str:
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}" if minute else str(hour)
