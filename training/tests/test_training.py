"""A net that learns, goes on where it was, and leaves as the whole numbers that it learnt with."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g.media.methods import NETWORKS
from p2c2g_training import train as loop
from p2c2g_training.beginning import begun
from p2c2g_training.export import check_gate, export, layers, weights
from p2c2g_training.folder import curve, train
from p2c2g_training.lettering import lettering
from p2c2g_training.measure import psnr, ssim
from p2c2g_training.nets import CELL_OUT, SHAPES, WEIGHT_LIMIT, Net, Shape, cells, large_cells
from p2c2g_training.pairs import MARGIN, QUALITIES, Patches, based, compressed, pair, shown, wanted
from p2c2g_training.rivals import BASE, enhanced
from p2c2g_training.train import Terms, TrainingRun, added, drive, unpacked
from p2c2g_workers.nets import SUM_LIMIT, Weights, read, shipped
from p2c2g_workers.processors.network import Network

SMALL = Shape(16, 2)
TINY = SHAPES["ml-tiny"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def frames() -> list[Pixels]:
    """Blocks of 4 pixels in a few colours, as pixel art is: easily learnt."""
    random = np.random.default_rng(5)
    # Nearly grey: only luma can be learnt.
    tinted = random.integers(0, 256, (6, 1)) + random.integers(-20, 21, (6, 3))
    colours = np.clip(tinted, 0, 255).astype(np.uint8)
    drawn = []
    for _ in range(4):
        art = colours[random.integers(0, 6, (60, 80))]
        large = cv2.resize(art, (320, 240), interpolation=cv2.INTER_NEAREST)
        drawn.append(np.asarray(large, np.uint8))
    return drawn


def wild(shape: Shape = SMALL) -> Net:
    """Return a net that has learnt nothing and answers loudly."""
    torch.manual_seed(3)
    net = Net(shape)
    net.rounding = True
    with torch.no_grad():
        net.get_buffer("peaks").fill_(2.0)
        net.get_parameter(f"folds.{shape.depth}.inner").mul_(4)
    return net


def same(one: Net, other: Net) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_it_learns(frames: list[Pixels], tmp_path: Path) -> None:
    net = train(Terms(SMALL, 120), [frames[:3]], frames[3:], tmp_path, tell=lambda _: None)
    one = pair(frames[3], 80)
    under = based(one.own)
    found = psnr(shown(under, added(net, one.arrived)), one.large)
    assert found > psnr(under, one.large) + 0.5
    assert [point.step for point in curve(tmp_path)] == list(range(12, 121, 12))
    assert curve(tmp_path)[-1].gain > 0.5
    assert (tmp_path / "curve.csv").read_text().splitlines()[0] == "step,loss,gain_db"
    with pytest.raises(UsageError, match="give one that was trained"):
        curve(tmp_path / "none")


def test_a_run_that_was_cut_short_becomes_the_same_net(
    frames: list[Pixels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "EVERY", 10)
    monkeypatch.setattr(loop, "POINTS", 1)
    terms = Terms(SMALL, 30)
    through = train(terms, [frames], frames[:1], tmp_path / "a", tell=lambda _: None)

    class CutError(Exception):
        pass

    def cut(line: str) -> None:
        if line.startswith("step 20 "):
            raise CutError

    with pytest.raises(CutError):
        train(terms, [frames], frames[:1], tmp_path / "b", tell=cut)
    lines: list[str] = []
    again = train(terms, [frames], frames[:1], tmp_path / "b", tell=lines.append)
    # What was not yet kept when it was cut is learnt again, not skipped.
    assert [line.split()[1] for line in lines] == ["20", "30"]
    assert same(through, again)
    other = train(Terms(SMALL, 30, seed=2), [frames], [], tmp_path / "c", tell=lambda _: None)
    assert not same(through, other)


def test_the_file_gives_what_was_learnt_with() -> None:
    """Half a level apart may round apart, rarely; nothing is further off."""
    net = wild()
    random = np.random.default_rng(1)
    small = random.integers(0, 256, (40, 52, 3), dtype=np.uint8)
    peer = Network(Weights("", "", layers(net), b"", SMALL.radius)).added(small)
    apart = np.abs(peer - added(net, small)[:, :, 0])
    assert apart.max() <= 2
    assert (apart > 0).mean() < 0.05
    assert np.abs(peer).mean() > 3, "the net does nothing, so this says nothing"


def test_no_two_products_overrun_sixteen_bits() -> None:
    for layer in wild().layers():
        assert np.abs(layer.weight).max() == WEIGHT_LIMIT
        assert 2 * 255 * WEIGHT_LIMIT < 2**15


def test_the_shipped_shapes_are_those_of_the_plans() -> None:
    assert {name: shape.radius for name, shape in SHAPES.items()} == {
        name: network.radius for name, network in NETWORKS.items()
    }


def test_cells_hold_their_pixels() -> None:
    pixels = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(1, 8, 12, 3)
    levels = np.arange(-40, 56, dtype=np.int16).reshape(1, 8, 12)
    small, large = cells(pixels), large_cells(levels)
    assert small.shape == (1, 12, 4, 6)
    assert large.shape == (1, CELL_OUT, 2, 3)
    assert small[0, :, 1, 2].tolist() == pixels[0, 2:4, 4:6].ravel().tolist()
    assert large[0, :, 1, 2].tolist() == levels[0, 4:8, 8:12].ravel().tolist()


@pytest.mark.parametrize("rounding", [False, True])
def test_what_is_added_has_no_means(rounding: bool) -> None:
    net = wild()
    net.rounding = rounding
    random = np.random.default_rng(1)
    found = added(net, random.integers(0, 256, (40, 52, 3), dtype=np.uint8))[:, :, 0]
    assert np.abs(found).mean() > 3
    means = found.reshape(40, 2, 52, 2).mean((1, 3))
    # What rounding leaves: half a level of each number, and what weights of 7 bits are off.
    assert np.abs(means).max() <= (4 if rounding else 0.5)
    assert np.abs(means).mean() < 0.5


def test_a_pair_is_scaled_down_and_compressed(frames: list[Pixels]) -> None:
    clean, harmed = pair(frames[0], None), pair(frames[0], 85)
    np.testing.assert_array_equal(clean.large, frames[0])
    area = frames[0].reshape(120, 2, 160, 2, 3).mean((1, 3))
    assert np.abs(clean.own - area).max() <= 0.5
    np.testing.assert_array_equal(clean.arrived, clean.own)
    np.testing.assert_array_equal(harmed.own, clean.own)
    np.testing.assert_array_equal(harmed.arrived, compressed(clean.own, 85))
    assert 15 < psnr(harmed.arrived, clean.own) < 40
    odd = pair(frames[0][:239, :318], None)
    assert odd.large.shape == (236, 316, 3)
    assert odd.own.shape == (118, 158, 3)


def test_what_is_wanted_of_a_net_leads_to_the_large_picture(frames: list[Pixels]) -> None:
    """Added to the base of what the gamer has, not of what arrives."""
    one = pair(frames[0], 50)
    under = based(one.own)
    best = psnr(shown(under, wanted(one.own, one.large)[:, :, None]), one.large)
    assert best > psnr(under, one.large) + 2
    other = psnr(shown(under, wanted(one.arrived, one.large)[:, :, None]), one.large)
    assert best > other + 0.5


def test_patches_are_seeded_and_lie_upon_each_other(frames: list[Pixels]) -> None:
    first, second = Patches([frames], 7), Patches([frames], 7)
    small, levels = first.batch(8)
    for one, other in zip((small, levels), second.batch(8), strict=True):
        np.testing.assert_array_equal(one, other)
    assert small.shape == (8, 92, 92, 3)
    assert levels.shape == (8, 96, 96)
    # Each is somewhere in a frame, and what is to be added there.
    pairs = [pair(one, quality) for one, quality in zip(frames, QUALITIES, strict=False)]
    whole = [(one.arrived, wanted(one.own, one.large)) for one in pairs]
    for arrived, level in zip(small, levels, strict=True):
        inner = slice(2 * MARGIN, -2 * MARGIN)
        assert any(
            np.array_equal(found[y : y + 92, x : x + 92], arrived)
            and np.array_equal(due[2 * y :, 2 * x :][:184, :184][inner, inner], level)
            for found, due in whole
            for y in range(0, 29, 2)
            for x in range(0, 69, 2)
        )


def figures(gain: float) -> dict[str, Any]:
    return {"best": "FSR", "gain": gain, "over": {}}


def test_a_net_that_is_worse_than_what_costs_nothing_is_not_written(
    frames: list[Pixels], tmp_path: Path
) -> None:
    check_gate({"one": figures(0.0), "other": figures(1.0)})
    with pytest.raises(UsageError, match=r"0\.10 dB worse than FSR on other"):
        check_gate({"one": figures(1.0), "other": figures(-0.1)})
    with pytest.raises(UsageError, match="it is not written"):
        export(wild(TINY), tmp_path, "loud", {"art": frames}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_net_that_passes_is_written_with_its_card(frames: list[Pixels], tmp_path: Path) -> None:
    net = train(Terms(TINY, 60), [frames[:3]], [], tmp_path / "run", tell=lambda _: None)
    written = export(net, tmp_path / "out", "art", {"art": frames[3:]}, {"seed": 1})
    card = json.loads((tmp_path / "out" / "art.json").read_text())
    assert card == written
    assert card["bytes"] == (tmp_path / "out" / "art.onnx").stat().st_size
    assert card["radius"] == 7
    judged = card["held_out"]["art"]
    assert judged["gain"] > 0
    assert judged["gain"] == min(one["gain"] for one in judged["over"].values())
    assert judged["over"][judged["best"]]["gain"] == judged["gain"]
    assert BASE in judged["over"]
    # Of what a gamer sees, the codecs both ways between.
    network, one = Network(read((tmp_path / "out" / "art.onnx").read_bytes())), pair(frames[3], 80)
    assert judged["db"] == pytest.approx(psnr(enhanced(network, one), one.large), abs=0.006)


def test_lettering_is_seeded() -> None:
    assert lettering(2, 1)[1].shape == (720, 1280, 3)
    np.testing.assert_array_equal(lettering(1, 4)[0], lettering(1, 4)[0])


def test_measures_by_hand() -> None:
    one = np.full((32, 32, 3), 100, np.uint8)
    assert psnr(one, one) == 99
    assert psnr(one, one + 1) == pytest.approx(48.13, abs=0.01)
    assert ssim(one, one) == pytest.approx(1)
    noise = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert abs(ssim(noise, np.random.default_rng(2).permutation(noise))) < 0.2


def test_a_net_begun_from_shipped_weights_is_those_weights() -> None:
    """To the last whole number: what is taught from there begins at what peers have."""
    general = shipped("ml-tiny")
    made = layers(begun(general))
    for one, other in zip(made, general.layers, strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)
        np.testing.assert_allclose(one.scale, other.scale, rtol=1e-6)
        assert np.abs(one.bias.astype(int) - other.bias).max() <= 1
        assert one.out_scale == pytest.approx(other.out_scale, rel=1e-6)


def test_a_net_begun_from_shipped_weights_learns(frames: list[Pixels]) -> None:
    terms = Terms(TINY, 60, rate=2e-3)
    run = TrainingRun(begun(shipped("ml-tiny")), [frames[:3]], frames[3:], terms)
    before = run.point().gain
    assert drive(run, lambda _: None, lambda _: None)
    assert run.point().gain > before + 0.5
    assert weights(run.net).method == "ml-tiny"


def test_a_channel_that_learnt_a_bias_alone_stays_exact() -> None:
    net = wild(TINY)
    with torch.no_grad():
        net.get_parameter("folds.0.bias").fill_(3.0)
        net.get_parameter("folds.0.inner").mul_(1e-6)
        net.get_parameter("folds.0.outer").zero_()
        net.get_buffer("folds.0.same").fill_(1e-7)
    (first, *_) = weights(net).layers
    sums = np.abs(first.weight.astype(int)).sum((1, 2, 3)) * 255 + np.abs(first.bias.astype(int))
    assert sums.max() < SUM_LIMIT
    np.testing.assert_allclose(first.bias * first.scale * first.in_scale, 3.0, rtol=1e-3)


def test_a_way_of_time_ends_when_it_is_up(frames: list[Pixels]) -> None:
    """By a clock that is told: each look at it is a tenth of a second later."""
    now = [0.0]

    def clock() -> float:
        now[0] += 0.1
        return now[0]

    terms = Terms(SMALL, seconds=2.0)
    run = TrainingRun(Net(SMALL), [frames], frames[:1], terms, clock=clock)
    points: list[int] = []
    assert drive(run, lambda run: points.append(run.step), lambda _: None)
    assert run.spent == pytest.approx(2.0, abs=0.21)
    assert len(points) in range(6, 12)
    assert points[-1] == run.step
    # One that is taken up when it is done is done.
    again = TrainingRun(Net(SMALL), [frames], frames[:1], terms, clock=clock)
    again.restore(run.state())
    assert again.done
    assert drive(again, lambda _: None, lambda _: None)
    assert again.step == run.step


def test_a_run_that_is_stopped_says_so(frames: list[Pixels]) -> None:
    run = TrainingRun(Net(SMALL), [frames], [], Terms(SMALL, 100))
    assert not drive(run, lambda _: None, lambda _: None, lambda: run.step == 3)
    assert run.step == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spent": -1e9}, "cannot be"),
        ({"spent": float("nan")}, "cannot be"),
        ({"step": -5}, "cannot be"),
        ({"rows": [["a", 1, 2]]}, "not of a run"),
        ({"net": {}}, "not of a run"),
        ({"optimiser": {}}, "not of a run"),
        ({"patches": {"bit_generator": "PCG64"}}, "not of a run"),
    ],
)
def test_a_strangers_state_cannot_keep_a_peer_busy(
    frames: list[Pixels], changes: dict[str, Any], words: str
) -> None:
    run = TrainingRun(Net(SMALL), [frames], [], Terms(SMALL, 100))
    run.advance()
    kept = unpacked(run.state())
    file = io.BytesIO()
    torch.save(kept | changes, file)
    with pytest.raises(UsageError, match=words):
        TrainingRun(Net(SMALL), [frames], [], Terms(SMALL, 100)).restore(file.getvalue())


def test_a_state_that_is_none_is_refused_before_it_is_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return print, ("harm",)

    file = io.BytesIO()
    torch.save({"net": Evil()}, file)
    for data in (b"", b"PK", file.getvalue()):
        with pytest.raises(UsageError, match="cannot be read"):
            unpacked(data)
    monkeypatch.setattr(loop, "MAX_STATE", 100)
    with pytest.raises(UsageError, match="too large"):
        unpacked(file.getvalue())


def test_what_is_exported_is_read_strictly() -> None:
    made = weights(wild(TINY))
    assert read(made.model).name == made.name
