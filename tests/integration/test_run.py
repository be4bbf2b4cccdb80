"""A whole run of the gamer's side: what it leaves, however it ends."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from p2c2g.display.hub import Hub
from p2c2g.display.recorder import Recorder
from p2c2g.errors import (
    P2C2GError,
    SourceUnavailableError,
    UnavailableError,
    UsageError,
)
from p2c2g.media.frame import Pixels, Size
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g_capture import run as run_module
from p2c2g_capture.asked import RunOptions
from p2c2g_capture.comparing import SCORED
from p2c2g_capture.run import run
from p2c2g_capture.sources import Source, open_source
from tests.lane import Lane, settings
from tests.pictures import shown_picture
from tests.pool import MakeWorker

#: Frames that a source gives before it ends.
FRAMES = 5

#: However busy the machine is, no frame is passed over for a newer one.
PATIENCE_MS = 20_000.0

Play = Callable[..., tuple[str, P2C2GError | None]]


class Ending(Source):
    """A source that ends after some pictures, as a game that is closed does."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = FRAMES
        self.size, self.name = source.size, source.name

    def grab(self, number: int) -> Pixels:
        if not self._left:
            raise SourceUnavailableError("The window was closed.")
        self._left -= 1
        return self._source.grab(number)

    def close(self) -> None:
        self._source.close()


@pytest.fixture
def play(broker: EmbeddedBroker, lane: Lane) -> Play:
    """Run without a viewer; return what the terminal has, and how it ended."""

    def played(**options: Any) -> tuple[str, P2C2GError | None]:
        asked = {
            "source": "pattern", "size": "320x180", "fps": 50.0, "headless": True,
            "deadline_ms": PATIENCE_MS, **options,
        }  # fmt: skip
        console = Console(file=io.StringIO(), width=120)
        error: P2C2GError | None = None
        try:
            run(RunOptions(**asked), settings(broker.url), console)
        except P2C2GError as raised:
            error = raised
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue(), error

    return played


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every source end after some pictures."""
    monkeypatch.setattr(
        run_module, "open_source", lambda *asked, **more: Ending(open_source(*asked, **more))
    )


@pytest.mark.usefixtures("ends")
def test_a_source_that_ends_leaves_summary_report_and_recording(play: Play, tmp_path: Path) -> None:
    record, report = tmp_path / "play.mp4", tmp_path / "play.json"
    said, error = play(record=str(record), report=str(report))
    assert isinstance(error, SourceUnavailableError)
    assert f"{FRAMES} degraded" in said
    assert f"Recorded {FRAMES} frames" in said
    written = json.loads(report.read_text())
    assert written["frames"]["degraded"] == FRAMES
    # And why nothing was enhanced, at both.
    [notice] = written["notices"]
    assert notice["said"].startswith("No peers: ")
    assert "No peers: " in said
    assert set(tmp_path.iterdir()) == {record, report}


@pytest.mark.usefixtures("ends")
def test_a_session_that_waits_for_nobody_says_so(play: Play, tmp_path: Path) -> None:
    record, report = tmp_path / "play.mp4", tmp_path / "play.json"
    said, _ = play(record=str(record), report=str(report), latency="none")
    assert "0.0% with what peers added to others" in said
    # Nobody was there: it is the base that was shown, and recorded.
    assert f"Recorded {FRAMES} frames" in said
    written = json.loads(report.read_text())
    assert written["settings"]["latency"] == "none"
    assert written["at_once"] == {
        "frames": FRAMES, "known": 0.0, "carried": 0.0, "age_ms": None,
    }  # fmt: skip


@pytest.mark.usefixtures("ends")
def test_a_recording_that_breaks_off_costs_neither_summary_nor_report(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, report = tmp_path / "play.mp4", tmp_path / "play.json"
    record.write_bytes(b"the earlier one")

    def broken(_: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("p2c2g.system.files.new_partial", broken)
    said, error = play(record=str(record), report=str(report))
    assert isinstance(error, UnavailableError)
    assert "broke off after 0 pictures: No space left on device" in str(error)
    assert f"{FRAMES} degraded" in said
    assert "Recorded" not in said
    assert json.loads(report.read_text())["frames"]["degraded"] == FRAMES
    assert record.read_bytes() == b"the earlier one"


@pytest.mark.usefixtures("ends")
def test_a_report_that_cannot_be_written_costs_no_summary_and_no_recording(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, report = tmp_path / "play.mp4", tmp_path / "play.json"
    report.write_text("the earlier one")

    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("p2c2g.system.files.write_whole", broken)
    said, error = play(record=str(record), report=str(report))
    assert "No space left on device" in str(error)
    assert f"Recorded {FRAMES} frames" in said
    assert report.read_text() == "the earlier one"
    assert record.exists()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A film of smooth pictures, without loss, as the recorder writes it."""
    size, path, hub = Size(192, 128), tmp_path / "film.mkv", Hub()
    with Recorder(path, 10, size) as recorder:
        recorder.start(hub)
        for number in range(10):
            rough = np.random.default_rng(number).integers(0, 256, (8, 12, 3), np.uint8)
            smooth = cv2.resize(rough, (size.width, size.height), interpolation=cv2.INTER_CUBIC)
            pixels = np.asarray(smooth, np.uint8)
            hub.publish(shown_picture(number, pixels, ready_at=number / 10))
    return path


def test_a_film_goes_through_the_pool_and_is_compared_with_itself(
    play: Play, worker: MakeWorker, film: Path, tmp_path: Path
) -> None:
    worker("-Q", "cpu", "-c", "1", "-P", "threads", application="p2c2g")
    report = tmp_path / "play.json"
    said, error = play(
        source=f"video:{film}", size=None, compare=True, report=str(report), seconds=2.0,
        fps=10.0, codec="png", ops="upscale:2", where="peers", deadline_ms=20_000.0,
        policy="capability",
    )  # fmt: skip
    assert error is None
    told = json.loads(report.read_text())
    figures = told["compare"]
    assert figures["original"] == "192x128"
    shown = told["frames"]
    assert figures["frames"] + figures["left_out"] == shown["complete"] + shown["degraded"]
    # Where the peer had no processor for a moment, chunks found no room, and those are the base.
    assert 0 < figures["complete"] <= shown["complete"]
    assert shown["complete"] <= figures["complete"] + figures["left_out"]
    # Exact both ways: what is shown is one's own base layer, to which nothing was added.
    decibels = figures["psnr_db"]
    assert decibels["enhanced"] == decibels["base"]
    assert figures["ssimulacra2"]["frames"] == min(SCORED, figures["frames"])
    assert "than the best that this machine does alone" in said
    assert all(told["bytes"][way]["total"] > 0 for way in ("up", "down"))


def test_a_film_that_cannot_be_divided_is_refused(play: Play, film: Path) -> None:
    _, error = play(source=f"video:{film}", size=None, compare=True, ops="upscale:5")
    assert isinstance(error, UsageError)
    assert "such as --size 38x25" in str(error)


class Closed(io.StringIO):
    """A terminal that has been closed."""

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")


@pytest.mark.usefixtures("ends")
def test_a_closed_terminal_costs_no_report(
    broker: EmbeddedBroker, lane: Lane, tmp_path: Path
) -> None:
    report = tmp_path / "play.json"
    options = RunOptions(
        "pattern", "320x180", headless=True, deadline_ms=PATIENCE_MS, report=str(report)
    )
    with pytest.raises(SourceUnavailableError):
        run(options, settings(broker.url), Console(file=Closed()))
    assert json.loads(report.read_text())["frames"]["degraded"] == FRAMES


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (
            {"source": "video:a.mp4", "record": "a.mp4"},
            "--record would write over the file of --so",
        ),
        ({"source": " video:x/../a.mp4", "record": "a.mp4"}, "--record would write over"),
        ({"source": "video:a.mp4", "record": "link.mp4"}, "--record would write over"),
        ({"source": "video:a.mp4", "report": "a.mp4"}, "--report would write over"),
        (
            {"record": "new.mp4", "report": "./new.mp4"},
            "--report would write over the file of --re",
        ),
        ({"source": "pattern", "compare": True}, "--compare needs an original"),
        ({"record": "x.gif"}, "let it end in .mp4"),
        ({"report": "missing/report.json"}, "No such file or directory"),
    ],
    ids=str,
)
def test_files_that_are_in_each_others_way_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    film = tmp_path / "a.mp4"
    film.write_bytes(b"a film")
    (tmp_path / "link.mp4").symlink_to(film)
    before = set(tmp_path.iterdir())
    with pytest.raises(UsageError, match=sentence):
        run(RunOptions(**asked), settings("redis://127.0.0.1:1/0"), Console(file=io.StringIO()))
    assert film.read_bytes() == b"a film"
    assert set(tmp_path.iterdir()) == before
