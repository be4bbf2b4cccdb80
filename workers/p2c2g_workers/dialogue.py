"""Asks the owner of a machine what to lend of it, setting by setting; Enter takes what is there.

The questions are lines, and so are the answers: they work by a screen reader, over ssh and by a
script.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from p2c2g.errors import UsageError
from p2c2g.lending.peer_config import flat
from p2c2g.lending.peer_settings import PeerConfig

#: Asks one question and returns the answer; "" where only Enter was pressed.
Ask = Callable[[str], str]
#: The questions, in order.
QUESTIONS: Final = {
    "peer.name": "What people call this peer",
    "limits.max_cpu": "Share of the processor at most, such as 50%",
    "limits.max_mbps": "Megabits a second of the line at most, each way",
    "limits.hours": "Hours at which it works, such as 22-7",
    "limits.only_idle": "Only while nobody uses the machine (yes or no)",
    "page.show": "A page of its own for the browser of this machine (yes or no)",
    "updates.automatic": "Take new versions that the pool's operator has signed (yes or no)",
}
#: How to say that there is no limit.
NONE: Final = ("none", "no", "off", "-")
_YES, _NO = ("yes", "y", "true", "on"), ("no", "n", "false", "off")


def asked(config: PeerConfig, ask: Ask, say: Callable[[str], None]) -> dict[str, Any]:
    """Return what is to be changed; a wrong answer is told, and asked for again.

    Args:
        config: as it is.
        ask: asks.
        say: is told what was wrong with an answer.
    """
    changes: dict[str, Any] = {}
    values = flat(config)
    for name, question in QUESTIONS.items():
        while True:
            answer = ask(f"{question} [{shown(values[name])}]").strip()
            if not answer:
                break
            try:
                value = read(name, answer, values[name])
                PeerConfig.of({name: value})
            except UsageError as error:
                say(str(error))
                continue
            if value != values[name]:
                changes[name] = value
            break
    return changes


def changes(**given: Any) -> dict[str, Any]:
    """Return what was given, by the settings' names and as values of their kinds.

    Args:
        given: the options, by their settings' last names, ``page`` and ``updates`` for theirs;
            what is None was not given.

    Raises:
        UsageError: one of them is wrong; the sentence says what would be right.
    """
    usual = flat(PeerConfig())
    names = {name.partition(".")[2]: name for name in usual}
    names |= {"page": "page.show", "page_port": "page.port", "updates": "updates.automatic"}
    found = {}
    for option, value in given.items():
        if value is not None:
            name = names[option]
            found[name] = read(name, value, usual[name]) if isinstance(value, str) else value
    PeerConfig.of(found)
    return found


def read(name: str, text: str, like: Any) -> Any:
    """Return a setting's value from what somebody wrote.

    Args:
        name: the setting's, such as ``limits.max_cpu``.
        text: what was written.
        like: a value of its kind.

    Raises:
        UsageError: it is none of that kind.
    """
    word = text.strip().lower()
    if isinstance(like, bool):
        if word in _YES or word in _NO:
            return word in _YES
        raise UsageError(f"{text!r} is no answer to that: give yes or no.")
    if name.startswith("limits.") and word in NONE:
        return 0 if name == "limits.max_mbps" else ""
    if isinstance(like, list):
        return [each.strip() for each in text.split(",")]
    if isinstance(like, int | float):
        try:
            number = float(text)
        except ValueError:
            # The setting's own sentence says what would be right.
            PeerConfig.of({name: text})
            raise UsageError(f"{text!r} is no number.") from None
        return int(number) if number.is_integer() and abs(number) < 1e9 else number
    return text.strip()


def shown(value: Any) -> str:
    """Return a value as it is shown in a question."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(value)
    return str(value or "none")


def lines(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return all settings as names and values."""
    return [(name, shown(value)) for name, value in values.items()]
