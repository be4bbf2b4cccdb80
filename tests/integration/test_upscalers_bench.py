"""The upscalers' benchmark: what is compared with what, and how it is told."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.upscalers import Row, main, measure, perceived, processors, table
from p2c2g.media.frame import Pixels


def frames(count: int = 2) -> list[Pixels]:
    random = np.random.default_rng(2)
    small = random.integers(0, 256, (count, 16, 24, 3), dtype=np.uint8)
    return [one.repeat(4, 0).repeat(4, 1) for one in small]


def test_every_upscaler_meets_the_same_pictures_with_and_without_the_codec() -> None:
    ours = processors(None)
    rows = list(measure({"art": frames()}, ours, 2))
    assert [row.name for row in rows if row.quality is None] == list(ours)
    assert [row.name for row in rows if row.quality == 85] == list(ours)
    clean = {row.name: row for row in rows if row.quality is None}
    # Pixels that were doubled and halved come back whole by being doubled again.
    assert clean["nearest"].psnr == 99
    assert clean["nearest"].ssim == pytest.approx(1)
    assert clean["nearest"].ssimulacra2 == pytest.approx(100)
    assert clean["bicubic"].psnr < 40
    assert clean["bicubic"].ssimulacra2 < 95
    assert all(row.ms > 0 for row in rows)


def test_a_games_own_net_meets_no_other_game() -> None:
    twice = processors(None)["nearest"]
    games = {"one": frames(), "other": frames()}
    rows = measure(games, {"bicubic": twice, "own ml-tiny of one": twice}, 2)
    assert {row.game for row in rows if row.name == "own ml-tiny of one"} == {"one"}


def test_a_row_that_is_known_is_not_measured_again() -> None:
    twice = processors(None)["nearest"]
    rows = measure({"art": frames()}, {"a": twice, "b": twice}, 2, {("art", 85, "a")})
    assert [(row.quality, row.name) for row in rows] == [(None, "a"), (None, "b"), (85, "b")]


def test_what_is_perceived_falls_with_what_is_lost() -> None:
    large = cv2.resize(frames(1)[0], (320, 256), interpolation=cv2.INTER_CUBIC)
    blurred = [cv2.GaussianBlur(large, (0, 0), sigma) for sigma in (0.7, 1.5, 3.0)]
    scores = [perceived(np.asarray(one, np.uint8), large) for one in (large, *blurred)]
    assert scores[0] == pytest.approx(100)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 50


def test_the_table_by_hand() -> None:
    rows = [
        Row(game, quality, name, db + (quality is None), 0.9, 60 + db - 30, ms)
        for game in ("art", "snow")
        for quality in (None, 85)
        for name, db, ms in (("bicubic", 30.0, 1.0), (f"own ml-tiny of {game}", 31.5, 11.0))
    ]
    assert table(rows).splitlines() == [
        "| upscaler | clean: dB | SSIM | SSIMULACRA2 | JPEG 85: dB | SSIM | SSIMULACRA2 | ms |",
        "|---|---|---|---|---|---|---|---|",
        "| bicubic | 31.00 | 0.9000 | 60.0 | 30.00 | 0.9000 | 60.0 | 1.0 |",
        "",
        "| dB over bicubic, JPEG 85 | art | snow |",
        "|---|---|---|",
        "| the game's own ml-tiny | +1.50 | +1.50 |",
        "",
        "| SSIMULACRA2 over bicubic, JPEG 85 | art | snow |",
        "|---|---|---|",
        "| the game's own ml-tiny | +1.5 | +1.5 |",
    ]


def test_without_recordings_it_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--recordings", str(tmp_path)]) == 2
    assert "python -m training record crispy-doom" in capsys.readouterr().err
