"""What a gamer asks of a peer: an order, and how far it is.  Pure: small texts, all checked.

Frames and nets are sent beside it as blobs.  A peer refuses every order that would cost it more
than these limits.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from p2c2g.errors import UsageError
from p2c2g.media.hashes import is_name
from p2c2g.messaging.blobs import MAX_BLOB
from p2c2g.messaging.names import TRAIN_QUEUE, TRAIN_TASK
from p2c2g.text import plain
from p2c2g_training.recording import MAX_FRAMES
from p2c2g_workers.nets import SHAPES

#: The queue of peers that train, and the task on it.
QUEUE, TASK = TRAIN_QUEUE, TRAIN_TASK
#: The most that one order may cost a peer.
MAX_MINUTES, MAX_STEPS = 30.0, 1_000_000
LEAST_FRAMES = 8
#: Bytes of an order's text, and of all its frames.
MAX_ORDER, MAX_BYTES = 16 * 1024, 96 << 20
#: Most blobs into which one state may be cut.
MAX_PIECES = 12
#: Most characters of a text that a peer writes for people, and bytes of any that it writes.
MAX_TEXT, MAX_FIELD = 200, 1024

#: waiting: no peer has it; running: one trains; left: it had to stop; done and failed are final.
State = Literal["waiting", "running", "left", "done", "failed"]
STATES: tuple[State, ...] = ("waiting", "running", "left", "done", "failed")


@dataclass(frozen=True, slots=True)
class Order:
    """One training: ``frames`` and ``watched`` name blobs, one picture each.

    ``seconds`` is None where ``steps`` give the length, and the other way round.  On ``watched``
    only the curve is measured; the frames that the net is judged on stay with the gamer.
    """

    id: str
    size: str
    seed: int
    seconds: float | None
    steps: int | None
    frames: tuple[str, ...]
    watched: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            UsageError: it is more than a peer does, or not valid.
        """
        self._check()

    def _check(self) -> None:
        wrong = None
        if not is_id(self.id):
            wrong = f"{self.id[:40]!r} is not an order's id: give 32 hexadecimal digits"
        elif self.size not in SHAPES:
            wrong = f"{self.size[:40]!r} is not a size: give one of {', '.join(SHAPES)}"
        elif (self.seconds is None) == (self.steps is None):
            wrong = "give either seconds or steps"
        elif self.seconds is not None and not 1 <= self.seconds <= 60 * MAX_MINUTES:
            wrong = (
                f"{self.seconds / 60:g} minutes cannot be: give up to {MAX_MINUTES:g}, and at "
                "least a second"
            )
        elif self.steps is not None and not 1 <= self.steps <= MAX_STEPS:
            wrong = f"{self.steps} steps cannot be: give from 1 to {MAX_STEPS}"
        elif not LEAST_FRAMES <= len(self.frames) <= MAX_FRAMES:
            wrong = f"{len(self.frames)} frames cannot be: give from {LEAST_FRAMES} to {MAX_FRAMES}"
        elif len(self.watched) > LEAST_FRAMES:
            wrong = f"{len(self.watched)} frames to watch are more than {LEAST_FRAMES}"
        elif not 0 <= self.seed < 1 << 32:
            wrong = f"the seed {self.seed} cannot be: give from 0 to {(1 << 32) - 1}"
        elif not all(map(is_name, (*self.frames, *self.watched))):
            wrong = "a frame's name is not 32 hexadecimal digits"
        if wrong:
            raise UsageError(f"The order to train cannot be carried out: {wrong}.")

    def text(self) -> str:
        """Return the order as it is sent."""
        return json.dumps(asdict(self))

    @staticmethod
    def parse(text: str) -> Order:
        """Read an order.

        Raises:
            UsageError: it is not an order, or not one that a peer carries out.
        """
        if len(text) > MAX_ORDER:
            raise UsageError(f"An order of {len(text)} letters is too long: at most {MAX_ORDER}.")
        try:
            told = json.loads(text)
            seconds, steps = told["seconds"], told["steps"]
            return Order(
                id=_str(told["id"]),
                size=_str(told["size"]),
                seed=_int(told["seed"]),
                seconds=None if seconds is None else float(seconds),
                steps=None if steps is None else _int(steps),
                frames=tuple(map(_str, told["frames"])),
                watched=tuple(map(_str, told["watched"])),
            )
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            raise UsageError(f"This is not an order to train: {error!r:.80}.") from error


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an order is, as the broker has it; a stranger's texts are made harmless.

    ``beat`` changes whenever a peer reports anything.  ``pieces`` are the blobs of the state that
    was kept last, ``net`` the blob of the finished net.
    """

    state: State = "waiting"
    attempt: int = 1
    beat: int = 0
    step: int = 0
    part: float = 0.0
    gain: float | None = None
    peer: str = ""
    device: str = ""
    sentence: str = ""
    pieces: tuple[str, ...] = ()
    net: str = ""

    @staticmethod
    def read(fields: dict[str, str]) -> Progress:
        """Return what a hash's fields say; a field that cannot be read counts as absent."""
        state: State = next((one for one in STATES if one == fields.get("state")), "waiting")
        pieces = tuple(fields.get("pieces", "").split())
        sound = len(pieces) <= MAX_PIECES and all(map(is_name, pieces))
        net = fields.get("net", "")
        part = _number(fields.get("part"), 0.0)
        return Progress(
            state=state,
            attempt=round(_number(fields.get("attempt"), 1)),
            beat=round(_number(fields.get("beat"), 0)),
            step=round(_number(fields.get("step"), 0)),
            part=min(1.0, max(0.0, part)),
            gain=_number(fields["gain"], 0.0) if fields.get("gain") else None,
            peer=_plain(fields.get("peer", "")),
            device=_plain(fields.get("device", "")),
            sentence=_plain(fields.get("sentence", "")),
            pieces=pieces if sound else (),
            net=net if is_name(net) else "",
        )


#: What an order's hash may hold.
FIELDS = tuple(field.name for field in fields(Progress))


def pieces(data: bytes) -> list[bytes]:
    """Cut bytes that are too large for one blob into pieces."""
    return [data[begin : begin + MAX_BLOB] for begin in range(0, len(data), MAX_BLOB)]


def is_id(text: str) -> bool:
    """Tell whether a text can be an order's id."""
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


def _plain(text: str) -> str:
    """Return at most :data:`MAX_TEXT` printable characters: it is shown on a terminal."""
    return plain(text, MAX_TEXT)[:MAX_TEXT]


def _number(text: str | None, otherwise: float) -> float:
    try:
        found = float(text or "")
    except ValueError:
        return otherwise
    return found if abs(found) < 1e12 else otherwise


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a text")
    return value


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r:.40} is not a whole number")
    return value
