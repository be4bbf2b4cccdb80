"""A results stream is bounded by its bytes as well as by its entries."""

from __future__ import annotations

import pytest

from p2c2g.messaging.results import STREAM_BYTES, STREAM_LEAST, STREAM_LENGTH, stream_length


@pytest.mark.parametrize("size", [0, 1, 10_000, 82_000, 500_000, 3_000_000])
def test_a_stream_keeps_some_megabytes_and_at_least_a_frame(size: int) -> None:
    length = stream_length(size)
    assert STREAM_LEAST <= length <= STREAM_LENGTH
    assert length == STREAM_LEAST or length * size <= STREAM_BYTES
    assert length >= stream_length(size + 1)


def test_small_results_are_kept_by_their_number() -> None:
    assert stream_length(1000) == STREAM_LENGTH
    assert stream_length(82_000) < 256
