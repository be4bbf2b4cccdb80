"""What a gamer is told while a peer trains: a line without blanks where nothing is known yet."""

from __future__ import annotations

import pytest

from p2c2g_training.order import Progress
from p2c2g_training.pool import Ordering


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (
            Progress(),
            "no peer has taken it yet: p2c2g peer run --queues train --slots 1 serves it",
        ),
        (Progress(state="running"), "a peer begins"),
        (Progress(state="running", peer="a@b", device="cpu", step=3), "step 3, a@b on cpu"),
        (
            Progress(state="running", peer="a@b", device="cpu", step=40, gain=0.5),
            "step 40, +0.50 dB over the base, a@b on cpu",
        ),
    ],
)
def test_the_line_says_what_is_known(seen: Progress, said: str) -> None:
    assert Ordering._remark(seen) == said
