"""Who sends a session what nobody asked for."""

from __future__ import annotations

from p2c2g.peers.noise import BURST, ENTRY, RATE, Noise


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_who_fails_now_and_then_is_listened_to() -> None:
    clock = Clock()
    noise = Noise(clock)
    for _ in range(10_000):
        noise.heard("phonest", 100)
        clock.now += 1.0
    assert noise.loud() == frozenset()


def test_who_is_loud_is_not_until_all_is_forgiven() -> None:
    clock = Clock()
    noise = Noise(clock)
    for _ in range(BURST // ENTRY + 1):
        noise.heard("psmall", 0)
    noise.heard("plarge", BURST)
    noise.heard("pquiet", BURST // 2)
    assert noise.loud() == {"psmall", "plarge"}
    clock.now += BURST / RATE - 1
    assert noise.loud() == {"psmall", "plarge"}
    clock.now += 2
    assert noise.loud() == frozenset()
    assert not noise._heard


def test_who_sent_more_is_not_listened_to_for_longer() -> None:
    clock = Clock()
    noise = Noise(clock)
    noise.heard("pmuch", 10 * BURST)
    clock.now += 9 * BURST / RATE
    assert noise.loud() == {"pmuch"}
