"""What general nets learn from: collages of art, and patches that never come twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Pixels
from p2c2g_training import export
from p2c2g_training.nets import Net, Shape
from p2c2g_training.pairs import MARGIN
from p2c2g_training.train import Terms, TrainingRun, drive
from training import __main__ as command
from training import art, endless, games
from training.art import Art, collages, fetch, gather
from training.endless import Endless
from training.growing import grown


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    """Blocks of 4 pixels in a few colours, as large as patches for the largest net need."""
    random = np.random.default_rng(5)
    # Nearly grey: only luma can be learnt.
    tinted = random.integers(0, 256, (6, 1)) + random.integers(-20, 21, (6, 3))
    colours = np.clip(tinted, 0, 255).astype(np.uint8)
    return [
        np.asarray(colours[random.integers(0, 6, (140, 160))].repeat(4, 0).repeat(4, 1), np.uint8)
        for _ in range(2)
    ]


@pytest.fixture
def package(tmp_path: Path, pictures: list[Pixels]) -> Path:
    """A package unpacked: a ground, a sprite, and what is no use."""
    folder = tmp_path / "pack" / "usr"
    folder.mkdir(parents=True)
    sprite = np.dstack([pictures[1][:40, :60], np.full((40, 60), 255, np.uint8)])
    sprite[:, :10, 3] = 0
    written = {
        "ground.png": pictures[0][:64, :64],
        "sprite.png": sprite,
        "flat.png": np.full((40, 40, 3), 7, np.uint8),
        "dot.png": pictures[0][:8, :8],
        "supertux.png": pictures[0],
    }
    for name, image in written.items():
        cv2.imwrite(str(folder / name), image)
    (folder / "broken.png").write_bytes(b"no picture")
    return tmp_path / "pack"


def test_art_is_what_is_large_enough_and_not_flat(package: Path) -> None:
    found = gather(package, 1)
    assert found.count == 2
    assert [one.shape for one in found.grounds] == [(64, 64, 3)]
    assert sorted(one.shape for one in found.sprites) == [(40, 60, 4), (64, 64, 3)]


def test_no_more_than_the_limit(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(art, "LIMIT", 1)
    assert gather(package, 1).count == 1


def test_collages_are_seeded_and_hold_the_art(package: Path) -> None:
    found = gather(package, 1)
    first, again, other = (collages([found], 3, seed) for seed in (4, 4, 5))
    assert first.shape == (3, 720, 1280, 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    tiled = collages([Art(grounds=found.grounds, count=1)], 3, 4)
    # Somewhere the ground lies as it is, pixel for pixel, and no lettering across it.
    assert any(
        np.array_equal(one[y : y + 64, x : x + 64], found.grounds[0])
        for one in tiled
        for y in range(0, 640, 64)
        for x in range(0, 1216, 64)
    )


def test_where_nothing_is_solid_the_ground_is_seen() -> None:
    ground = np.full((720, 1280, 3), 90, np.uint8)
    image = np.full((20, 30, 4), 200, np.uint8)
    image[:, :15, 3], image[:, 15:, 3] = 0, 255
    art._paste(ground, image, 1260, -5)
    assert (ground[:15, 1260:1275] == 90).all()
    assert (ground[:15, 1275:] == 200).all()
    art._paste(ground, image, 1280, 0)


def test_without_debian_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(art.processes, "find", lambda _name: None)
    with pytest.raises(SourceUnavailableError, match="Debian's packages: run this where apt-get"):
        fetch("wesnoth-1.16-data", tmp_path / "art")
    (tmp_path / "there").mkdir()
    assert fetch("there", tmp_path) == tmp_path / "there"


def test_patches_lie_upon_each_other_and_never_come_twice(pictures: list[Pixels]) -> None:
    first, again = (Endless([pictures], [1], 7, MARGIN) for _ in range(2))
    small, added = first.batch(12)
    for one, other in zip((small, added), again.batch(12), strict=True):
        np.testing.assert_array_equal(one, other)
    edge = 48 + 2 * MARGIN
    assert small.shape == (12, edge, edge, 3)
    assert added.shape == (12, 96, 96)
    assert np.abs(added.reshape(12, 48, 2, 48, 2).mean((2, 4))).max() <= 0.5
    # What is to be added lies where the small one has edges: anywhere else it would not.
    inner = small[:, MARGIN:-MARGIN, MARGIN:-MARGIN, 1].astype(float)
    edges = np.abs(np.diff(inner, axis=2, append=inner[:, :, -1:]))
    strong = np.abs(added).reshape(12, 48, 2, 48, 2).max((2, 4))
    aside = np.roll(strong, 8, axis=2)
    assert np.corrcoef(edges.ravel(), strong.ravel())[0, 1] > 0.3
    assert np.corrcoef(edges.ravel(), aside.ravel())[0, 1] < 0.2
    assert len({one.tobytes() for one in added}) == 12


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_some_patches_are_drawn_small_point_by_point(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a game draws small that does not smooth: no colour between two others comes up."""
    random = np.random.default_rng(2)
    two = np.array([[10, 30, 50], [200, 180, 160]], np.uint8)[random.integers(0, 2, (700, 700))]
    monkeypatch.setattr(endless, "QUALITIES", (None,))
    monkeypatch.setattr(endless, "_POINTS", share)
    monkeypatch.setattr(endless, "_SHARES", (1.0,))
    small, added = Endless([[two]], [1], 3, MARGIN, 16).batch(4)
    for one in small:
        assert (len(np.unique(one.reshape(-1, 3), axis=0)) == 2) == bool(share)
    assert np.abs(added).mean() > 3


def test_patches_go_on_from_a_state(pictures: list[Pixels]) -> None:
    one = Endless([pictures, pictures[:1]], [1, 3], 7, MARGIN, 16)
    state = one.state
    due = one.batch(3)
    other = Endless([pictures, pictures[:1]], [1, 3], 8, MARGIN, 16)
    other.state = state
    for a, b in zip(due, other.batch(3), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_pool_with_no_share_is_not_drawn_from(pictures: list[Pixels]) -> None:
    black = [np.zeros_like(pictures[0])]
    small, _ = Endless([black, pictures], [0, 1], 1, MARGIN, 16).batch(6)
    assert all(one.std() > 1 for one in small)


def test_a_grown_net_gives_what_the_smaller_one_gave_and_learns_on(
    pictures: list[Pixels],
) -> None:
    torch.manual_seed(1)
    small = Net(Shape(16, 2))
    small.get_buffer("peaks").copy_(torch.tensor([3.0, 5.0]))
    net = grown(small, Shape(24, 5))
    assert net.get_buffer("peaks").tolist() == [3, 3, 5, 5, 5]
    seen = torch.rand(1, 12, 20, 20) * 255
    with torch.no_grad():
        due = small(seen)[:, :, 3:-3, 3:-3]
        torch.testing.assert_close(net(seen), due)
    run = TrainingRun(net, Endless([pictures], [1], 1, MARGIN), [], Terms(net.shape, 2, batch=2))
    while not run.done:
        run.advance()
        if run.due:
            run.point()
    # What was new, the passing on and the unheard channels, has begun to learn.
    fresh: Any = net.folds[1]
    assert float(fresh.outer.detach().abs().max()) > 0
    heard: Any = net.folds[2]
    assert float(heard.inner.detach()[:, 16:].abs().max()) > 0
    with pytest.raises(UsageError, match="24 channels and 5 convolutions cannot grow to 16 and 6"):
        grown(net, Shape(16, 6))


@pytest.mark.parametrize("half", [False, True])
def test_a_net_learns_from_them(pictures: list[Pixels], half: bool) -> None:
    torch.manual_seed(1)
    terms = Terms(Shape(16, 2), 60, batch=8, quiet=10.0, half=half)
    run = TrainingRun(Net(terms.shape), Endless([pictures], [1], 1, MARGIN), pictures, terms)
    before = run.point().gain
    assert drive(run, lambda _: None, lambda _: None)
    assert run.points[-1].gain > before + 0.3


def test_a_general_net_is_made_by_the_command(
    tmp_path: Path, pictures: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From recordings and art on disk to the file and its card, which names both."""
    for game in ("etr", "openttd"):
        (tmp_path / "rec" / game).mkdir(parents=True)
        for index in range(10):
            image = np.roll(pictures[0], 4 * index, axis=index % 2)
            cv2.imwrite(str(tmp_path / "rec" / game / f"{index:05}.png"), image)
    (tmp_path / "art" / "pingus-data").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "art" / "pingus-data" / "a.png"), pictures[1])
    # Forty steps are few; here it is not the net that is tried.
    monkeypatch.setattr(export, "check_gate", lambda _figures: None)
    monkeypatch.setattr(command, "COLLAGES", 2)
    monkeypatch.setattr(command, "LETTERING", 1)
    call = ["general", "--teach", "etr", "--judge", "openttd", "--steps", "40", "--threads", "1"]
    call += ["--folder", str(tmp_path / "art"), "--recordings", str(tmp_path / "rec")]
    result = CliRunner().invoke(command.app, [*call, "--runs", str(tmp_path / "runs")])
    assert result.exception is None, result.output
    assert (tmp_path / "runs" / "ml-tiny" / "ml-tiny.onnx").is_file()
    card = (tmp_path / "runs" / "ml-tiny" / "ml-tiny.json").read_text()
    assert games.GAMES["etr"].licence in card
    assert '"art of pingus-data": "GPL-2.0-or-later"' in card
    assert '"steps": 40' in card
