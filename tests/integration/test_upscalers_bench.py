"""The upscalers' benchmark: what is compared with what, and how it is told."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.upscalers import (
    FREE,
    TRUE,
    Row,
    _adding,
    learnt,
    main,
    measure,
    perceived,
    recorded,
    table,
)
from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g_training.measure import psnr
from p2c2g_training.pairs import based
from p2c2g_training.rivals import BASE, judged


def frames(count: int = 2) -> list[Pixels]:
    random = np.random.default_rng(2)
    small = random.integers(0, 256, (count, 16, 24, 3), dtype=np.uint8)
    return [one.repeat(4, 0).repeat(4, 1) for one in small]


def test_every_way_meets_the_same_pictures() -> None:
    ours = learnt(None)
    rows = list(measure({"art": judged(frames())}, ours))
    assert [row.name for row in rows] == [*FREE, *ours]
    found = {row.name: row for row in rows}
    # Pixels that were doubled and halved come back whole by being doubled again.
    assert found["nearest"].psnr == 99
    assert found["nearest"].ssimulacra2 == pytest.approx(100)
    assert found["bicubic"].psnr < 40
    assert found["bicubic"].ssimulacra2 < 95
    assert all(row.ms > 0 for row in rows)
    # Only what peers add has to travel.
    assert all((row.up > 0) == (row.down > 0) == (row.name in ours) for row in rows)


def test_an_upscaler_that_makes_pictures_answers_by_what_it_adds_to_the_base() -> None:
    """Nearest is right here, but the means of cells and the bounds are the gamer's own."""
    pairs = judged(frames())
    (row,) = (
        row for row in measure({"art": pairs}, {"public": _adding(FREE["nearest"])})
        if row.name == "public"
    )  # fmt: skip
    under = psnr(based(pairs[0].own), pairs[0].large)
    assert under + 0.5 < row.psnr < 99


def test_a_true_pair_is_what_the_game_drew(tmp_path: Path) -> None:
    large = frames()[0]
    small = np.ascontiguousarray(large[::2, ::2])
    small[:4, :4] = 7
    (tmp_path / "small").mkdir()
    cv2.imwrite(str(tmp_path / "0.png"), large)
    with pytest.raises(UsageError, match="has 0 frames where 1 are due"):
        recorded(tmp_path, 4)
    cv2.imwrite(str(tmp_path / "small" / "0.png"), small)
    (one,) = recorded(tmp_path, 4)
    np.testing.assert_array_equal(one.own, small)
    np.testing.assert_array_equal(one.large, large)


def test_a_games_own_net_meets_no_other_game() -> None:
    nothing = _adding(FREE[BASE])
    games = {"one": judged(frames()), "other": judged(frames())}
    rows = measure(games, {"own ml-tiny of one": nothing})
    assert {row.game for row in rows if row.name == "own ml-tiny of one"} == {"one"}


def test_a_row_that_is_known_is_not_measured_again() -> None:
    known = {("art", name) for name in FREE if name != "bicubic"}
    rows = measure({"art": judged(frames())}, {}, known)
    assert [row.name for row in rows] == ["bicubic"]


def test_what_is_perceived_falls_with_what_is_lost() -> None:
    large = cv2.resize(frames(1)[0], (320, 256), interpolation=cv2.INTER_CUBIC)
    blurred = [cv2.GaussianBlur(large, (0, 0), sigma) for sigma in (0.7, 1.5, 3.0)]
    scores = [perceived(np.asarray(one, np.uint8), large) for one in (large, *blurred)]
    assert scores[0] == pytest.approx(100)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 50


def test_the_table_by_hand() -> None:
    rows = [
        Row(game, name, db, 60 + db - 30, up, down, ms)
        for game in ("art", "snow")
        for name, db, up, down, ms in (
            (BASE, 30.0, 0, 0, 1.0),
            ("FSR", 30.0 + (game == "snow"), 0, 0, 20.0),
            ("ml-tiny", 31.25, 40, 10, 9.0),
            (f"own ml-tiny of {game}", 31.5, 40, 12, 11.0),
        )
    ]
    rows.append(Row("snow" + TRUE, BASE, 20.0, 10.0, 0, 0, 1.0))
    assert table(rows).splitlines() == [
        "| way | dB | SSIMULACRA2 | KiB up | KiB down | ms |",
        "|---|---|---|---|---|---|",
        "| the base layer | 30.00 | 60.0 | 0.0 | 0.0 | 1.0 |",
        "| FSR | 30.50 | 60.5 | 0.0 | 0.0 | 20.0 |",
        "| ml-tiny | 31.25 | 61.2 | 40.0 | 10.0 | 9.0 |",
        "",
        "| dB over the best that costs nothing | art | snow | snow, true pairs |",
        "|---|---|---|---|",
        "| the base layer | +0.00 | -1.00 | +0.00 |",
        "| FSR | +0.00 | +0.00 | – |",
        "| ml-tiny | +1.25 | +0.25 | – |",
        "| the game's own ml-tiny | +1.50 | +0.50 | – |",
        "",
        "| SSIMULACRA2 over the base | art | snow | snow, true pairs |",
        "|---|---|---|---|",
        "| the base layer | +0.0 | +0.0 | +0.0 |",
        "| FSR | +0.0 | +1.0 | – |",
        "| ml-tiny | +1.2 | +1.2 | – |",
        "| the game's own ml-tiny | +1.5 | +1.5 | – |",
    ]


def test_without_recordings_it_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--recordings", str(tmp_path)]) == 2
    assert "python -m training record crispy-doom" in capsys.readouterr().err
