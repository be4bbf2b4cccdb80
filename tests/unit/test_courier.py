"""What a session can show of peers is brought once, later where it cannot be now, or never."""

from __future__ import annotations

from pydantic import BaseModel

from p2c2g.errors import PoolRefusesError, PoolUnavailableError
from p2c2g.joining import courier
from p2c2g.joining.courier import Courier


class Piece(BaseModel):
    number: int


class Door:
    """A coordinator that does as it is told."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.error: Exception | None = None

    def send(self, piece: BaseModel) -> None:
        assert isinstance(piece, Piece)
        self.asked.append(piece.number)
        if self.error is not None:
            raise self.error


def test_each_piece_is_brought_once_and_few_at_a_time() -> None:
    door, found = Door(), [Piece(number=number) for number in range(8)]
    brings = Courier(lambda: found, door.send)
    brings.look()
    assert door.asked == list(range(6))
    brings.look()
    brings.look()
    assert door.asked == list(range(8))


def test_what_cannot_be_brought_now_is_later_and_what_is_refused_never() -> None:
    door, found = Door(), [Piece(number=1), Piece(number=2)]
    brings = Courier(lambda: found, door.send)
    door.error = PoolUnavailableError("it is away.")
    brings.look()
    assert door.asked == [1], "the others wait as well"
    door.error = PoolRefusesError("it shows nothing.")
    brings.look()
    assert door.asked == [1, 1, 2]
    door.error = None
    brings.look()
    assert door.asked == [1, 1, 2]


def test_a_session_brings_no_more_than_so_much() -> None:
    door, found = Door(), [Piece(number=number) for number in range(2 * courier.MOST)]
    brings = Courier(lambda: found, door.send)
    for _ in found:
        brings.look()
    assert len(door.asked) == courier.MOST


def test_at_the_end_it_looks_once_more() -> None:
    door, found = Door(), list[Piece]()
    with Courier(lambda: found, door.send):
        found.append(Piece(number=1))
    assert door.asked == [1]
