"""The session's examiner, which here compares what pictures are instead of their pixels."""

from __future__ import annotations

from p2c2g.errors import CheckError
from p2c2g.session.examiner import Examination, Examiner
from p2c2g.simulator.peers import GROSS


class SimulatedExaminer(Examiner):
    """Decides as the real one does; what it knows of two answers is what they begin with.

    Lies that a check does not find are alike: liars of one kind agree with each other.
    """

    def _agree(self, examination: Examination, answer: bytes) -> bool:
        if answer.startswith(GROSS):
            raise CheckError("it shows something else.")
        return answer == examination.answer
