"""How much of the line a session may use, as the gamer says it: limits, and whether it costs."""

from __future__ import annotations

from dataclasses import dataclass

from p2c2g.commands.guest import parse_mbps
from p2c2g.errors import UsageError
from p2c2g.session.limits import NO_LIMITS, Limits
from p2c2g.settings import SessionSettings

#: What is said where nothing may go over a line that costs, without its end.
NOTHING = (
    "This line is metered, so nothing is sent and the picture is this machine's own: "
    "--max-up-mbps and --max-down-mbps say how much may be"
)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be used.

    Args:
        limits: of what goes to the broker and comes from it.
        is_nothing: whether nothing may go to anybody at all.
    """

    limits: Limits = NO_LIMITS
    is_nothing: bool = False

    def refuse_watching(self) -> None:
        """Refuse to send pictures to those who watch elsewhere, which no limit holds.

        Raises:
            UsageError: there is a limit.
        """
        if self.limits or self.is_nothing:
            raise UsageError(
                "--watchable sends what is shown to the pool's coordinator, which neither "
                "--metered nor a limit of the line holds: leave one of them out."
            )


def allowance(
    up: str | None, down: str | None, settings: SessionSettings, *, metered: bool
) -> Allowance:
    """Return what may be used of the line.

    A metered line carries nothing without being asked to, and is asked to by both limits.

    Args:
        up: megabits a second to the broker, as the command line has them.
        down: the same from it.
        settings: hold what the command line does not say.
        metered: whether what goes over the line costs money.

    Raises:
        UsageError: a limit is none, or says half of what a metered line needs.
    """
    mbps = [
        setting if text is None else parse_mbps(text)
        for text, setting in ((up, settings.max_up_mbps), (down, settings.max_down_mbps))
    ]
    limits = Limits.of_mbps(*mbps)
    if not (metered or settings.metered):
        return Allowance(limits)
    if not limits:
        return Allowance(is_nothing=True)
    if None in mbps:
        given, missing = ("up", "down") if mbps[1] is None else ("down", "up")
        raise UsageError(
            f"On a metered line --max-{given}-mbps is half of what may be used: give "
            f"--max-{missing}-mbps, too."
        )
    return Allowance(limits)
