"""A lender is told that no broker answers, and not told so every second."""

from __future__ import annotations

from p2c2g_workers.absence import AGAIN, RARELY, Absence

URL = "redis://:***@host:6379/0"


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def test_it_is_said_at_once_and_then_ever_more_rarely() -> None:
    clock = Clock()
    absence = Absence(clock)
    assert not absence
    said: list[tuple[float, str]] = []
    for second in range(int(2 * RARELY + 8 * AGAIN)):
        clock.now = 50.0 + second
        sentence = absence.missed(URL, OSError("Connection refused."))
        if sentence:
            said.append((second, sentence))
    assert absence
    assert [when for when, _ in said] == [0, 60, 180, 420, 900, 1500]
    assert said[0][1] == (
        f"No broker answers at {URL} (Connection refused). This peer waits for it; another is "
        "named by P2C2G_BROKER_URL."
    )
    assert "has waited 3 min for it" in said[2][1]
