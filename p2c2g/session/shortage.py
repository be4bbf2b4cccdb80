"""What those who watch are told where there is too little: a word, and after a while a sentence.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection

from p2c2g.session.levels import Levels, Resource

#: Seconds for which too little has to last before it is said.
SAID_AFTER = 1.0

#: Nothing is given up; a plainer method; coarser pictures on the line; a part of the picture; that
#: part of some frames.
WORDS = ("all", "plainer", "coarser", "part", "seldom")
#: Of these it is told in a sentence too.
_LESSER = WORDS[3:]
#: Where nothing is asked for.
NOTHING = (WORDS[4], "The pool is much too slow: nothing is enhanced for now")

_PART = {
    Resource.WORK: "The pool is too slow for all of it: the middle is enhanced",
    Resource.UP: "The line to the pool is too narrow for all of it: the middle is enhanced",
    Resource.DOWN: "The line from the pool is too narrow for all of it: the middle is enhanced",
}
_SELDOM = {
    Resource.WORK: "The pool is much too slow: a part of the picture is enhanced now and then",
    Resource.UP: "The line to the pool is much too narrow: a part is enhanced now and then",
    Resource.DOWN: "The line from the pool is much too narrow: a part is enhanced now and then",
}
#: Where not the line is too narrow, but the gamer allows no more of it.
_ALLOWED = "You allow too little of your line for all of it: "


class Shortage:
    """How long there has been too little for all of the picture.

    Args:
        count: chunks of a picture.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._since: float | None = None

    def told(
        self, levels: Levels, short: Resource | None, limited: Collection[Resource], now: float
    ) -> tuple[str, str]:
        """Return the word and the sentence, which is empty where there is none.

        Args:
            levels: what is asked for.
            short: what there is too little of.
            limited: lines of which somebody allows no more.
            now: seconds of the session's clock.
        """
        word = word_of(levels, self._count)
        if word not in _LESSER:
            self._since = None
            return word, ""
        if self._since is None:
            self._since = now
        if short is None or now - self._since < SAID_AFTER:
            return word, ""
        sentence = (_SELDOM if levels.every > 1 else _PART)[short]
        if short in limited:
            sentence = _ALLOWED + sentence.partition(": ")[2]
        return word, sentence


def word_of(levels: Levels, count: int) -> str:
    """Return a word for what is asked for of so many chunks: the last thing that was given up."""
    if levels.every > 1:
        return WORDS[4]
    if levels.chunks < count:
        return WORDS[3]
    if levels.residual or levels.source:
        return WORDS[2]
    return WORDS[1] if levels.method else WORDS[0]
