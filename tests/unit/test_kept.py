"""The bytes of what was sent, for who takes it back: bounded, and each once."""

from __future__ import annotations

from p2c2g.messaging.publishing import MAX_KEPT, MAX_KEPT_BYTES, Kept


def test_each_is_taken_once() -> None:
    kept = Kept()
    kept.add("queue", "one", b"first")
    kept.add("queue", "one", b"second")  # Sent again there: the older one is not meant.
    kept.add("other", "one", b"third")
    assert kept.take("queue", "one") == b"second"
    assert kept.take("queue", "one") is None
    assert kept.take("other", "one") == b"third"


def test_the_oldest_are_forgotten() -> None:
    kept = Kept()
    for number in range(MAX_KEPT + 1):
        kept.add("queue", str(number), b"x")
    assert kept.take("queue", "0") is None
    assert kept.take("queue", "1") == b"x"
    large = bytes(MAX_KEPT_BYTES // 2)
    for name in ("a", "b", "c"):
        kept.add("queue", name, large)
    assert [kept.take("queue", name) is not None for name in "abc"] == [False, True, True]
