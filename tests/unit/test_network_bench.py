"""The upscalers' benchmark: what is compared with what, and how it is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.upscalers import Row, main, measure, processors, table
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
    assert clean["bicubic"].psnr < 40
    assert all(row.ms > 0 for row in rows)


def test_a_games_own_net_meets_no_other_game() -> None:
    twice = processors(None)["nearest"]
    games = {"one": frames(), "other": frames()}
    rows = measure(games, {"bicubic": twice, "own net of one": twice}, 2)
    assert {row.game for row in rows if row.name == "own net of one"} == {"one"}


def test_the_table_by_hand() -> None:
    rows = [
        Row(game, quality, name, db + (quality is None), 0.9, ms)
        for game in ("art", "snow")
        for quality in (None, 85)
        for name, db, ms in (("bicubic", 30.0, 1.0), (f"own net of {game}", 31.5, 11.0))
    ]
    assert table(rows).splitlines() == [
        "| upscaler | clean: dB | SSIM | JPEG 85: dB | SSIM | ms |",
        "|---|---|---|---|---|---|",
        "| bicubic | 31.00 | 0.9000 | 30.00 | 0.9000 | 1.0 |",
        "",
        "| dB over bicubic, JPEG 85 | art | snow |",
        "|---|---|---|",
        "| the game's own net | +1.50 | +1.50 |",
    ]


def test_without_recordings_it_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--recordings", str(tmp_path)]) == 2
    assert "python -m training record crispy-doom" in capsys.readouterr().err
