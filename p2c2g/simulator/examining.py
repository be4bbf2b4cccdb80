"""How the simulator compares answers: by what they begin with, where pixels would be."""

from __future__ import annotations

from p2c2g.errors import CheckError
from p2c2g.simulator.peers import GROSS
from p2c2g.verify.examination import Examination


class SimulatedComparer:
    """Knows of two answers what they begin with.

    Lies that a check does not find are alike: liars of one kind agree with each other.
    """

    def agree(self, examination: Examination, answer: bytes) -> bool:
        """Tell whether an answer is the same picture as the one that is known.

        Raises:
            CheckError: it is no picture of its chunk in the first place.
        """
        if answer.startswith(GROSS):
            raise CheckError("it shows something else.")
        return answer == examination.known
