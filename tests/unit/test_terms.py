"""What a browser is told, so that it makes the same pictures."""

import json
from fractions import Fraction

import pytest

from p2c2g.display.terms import terms
from p2c2g.media.frame import Size
from p2c2g.media.kernels import kernel


@pytest.mark.parametrize("text", ["2", "3", "3/2", "16/9", "1", "1/2"])
def test_weights_are_told_as_they_are(text: str) -> None:
    factor = Fraction(text)
    told = json.loads(json.dumps(terms(Size(64, 36), Size(99, 99), factor, Fraction(2), 1)))
    assert (told["source"], told["output"]) == ([64, 36], [99, 99])
    axis, exact = told["across"], kernel(factor)
    assert axis["nearest"] == list(exact.nearest)
    for told_weights, taps in zip(axis["weights"], exact.details, strict=True):
        assert len(told_weights) == 2 * axis["reach"] + 1
        assert sum(told_weights) == 0
        assert {
            at: weight
            for at, weight in zip(
                range(-axis["reach"], axis["reach"] + 1), told_weights, strict=True
            )
            if weight
        } == dict(taps)
