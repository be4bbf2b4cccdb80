"""What is held back, what is kept, what is asked of peers: the rules, without any training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.errors import CodecError, UsageError
from p2c2g.media.frame import Pixels
from p2c2g_training import pictures
from p2c2g_training.fsr import fsr
from p2c2g_training.judging import GAP, HELD, LEAST, NEAR, SLIP, check_enough, split, weigh
from p2c2g_training.nets import SHAPES
from p2c2g_training.order import MAX_ORDER, Order, Progress, pieces
from p2c2g_training.recording import MAX_FRAMES, Folder, Recording, Sieve, fitting, halved, paced
from p2c2g_training.rivals import BASE, doubled
from p2c2g_training.threads import WORTH, best, candidates
from p2c2g_training.train import POINTS, ROUNDED, Terms
from p2c2g_training.watching import MOST_FAILED, MOST_SILENT, SILENT, UNTAKEN, OrderWatch

SCENES = st.lists(st.integers(1, 90), min_size=1, max_size=6)
NAME = "0123456789abcdef" * 2


@given(SCENES)
def test_what_is_held_back_is_later_and_about_a_fifth(scenes: list[int]) -> None:
    teach, held = split(scenes)
    count = sum(scenes)
    assert held.stop == count
    assert teach.start == 0
    assert teach.stop <= held.start
    assert abs(len(held) - HELD * count) <= NEAR * count + 1
    ends = np.cumsum(scenes)
    # Through a scene only with a gap, and only where no scene ends nearby.
    assert held.start - teach.stop in (0, min(GAP, held.start))
    if held.start not in ends:
        assert teach.stop == max(0, held.start - GAP)
        assert not any(abs(end - held.start) <= NEAR * count - 1 and end < count for end in ends)


def test_too_few_frames_say_what_to_do() -> None:
    check_enough(LEAST, "tux")
    with pytest.raises(UsageError, match=f"{LEAST} are needed: play on"):
        check_enough(LEAST - 1, "tux")


DB = st.floats(10, 60)


@given(st.lists(st.tuples(DB, DB, DB, DB), min_size=1, max_size=9), st.floats(0, 3))
def test_a_net_is_kept_only_if_it_gains_the_margin_and_harms_no_frame(
    rows: list[tuple[float, float, float, float]], margin: float
) -> None:
    """Over the best of what costs nothing, whichever that is."""
    ours, general, base, fsr = (np.array(column) for column in zip(*rows, strict=True))
    verdict = weigh(ours, general, {BASE: base, "FSR": fsr}, margin)
    best = max(base, fsr, key=lambda each: float(each.mean()))
    gain, worst = float((ours - best).mean()), float((ours - best).min())
    over_general = float((ours - general).mean())
    assert (verdict.gain, verdict.worst, verdict.over_general) == (gain, worst, over_general)
    assert verdict.best == (BASE if best is base else "FSR")
    assert verdict.over_base == float((ours - base).mean())
    assert verdict.accepted == (gain >= margin and worst >= -SLIP and over_general >= 0)
    if not verdict.accepted:
        sentence = verdict.refusal("tux", "ml-tiny")
        assert sentence.startswith("The net for tux is not kept: on ")
        assert sentence.endswith(".")
        assert "\n" not in sentence


@pytest.mark.parametrize(
    ("ours", "general", "why"),
    [
        ([30.1, 30.1], [30, 30], "2 frames held back it is 0.10 dB better than FSR, which costs"),
        ([29.5, 29.9], [30, 30], "2 frames held back it is 0.50 dB worse than FSR, which costs"),
        ([31, 31], [31.5, 31.1], "2 frames held back it is 0.30 dB worse than the general ml-tiny"),
    ],
)
def test_a_refusal_says_which_of_the_three_failed(
    ours: list[float], general: list[float], why: str
) -> None:
    verdict = weigh(ours, general, {BASE: [29, 29], "FSR": [30, 30]}, 0.3)
    assert not verdict.accepted
    assert why in verdict.refusal("tux", "ml-tiny")


def test_fsr_doubles_and_sharpens_within_the_range_of_its_neighbours() -> None:
    """What it is compared with has to be it: flat stays flat, and an edge gets steeper."""
    flat = np.full((20, 30, 3), 90, np.uint8)
    np.testing.assert_array_equal(fsr(flat), np.full((40, 60, 3), 90, np.uint8))
    edge = np.full((20, 30, 3), 40, np.uint8)
    edge[:, 15:] = 200
    large = fsr(edge)
    assert large.shape == (40, 60, 3)
    assert (large[:, :28] == 40).all()
    assert (large[:, 32:] == 200).all()
    soft = doubled(edge, "upscale:2:bilinear")
    assert np.diff(large[20, :, 0].astype(int)).max() > np.diff(soft[20, :, 0].astype(int)).max()
    # Turned, it is the same turned, but for the few places without any direction.
    smooth = np.asarray(cv2.GaussianBlur(noise(3, 40, 40), (7, 7), 0), np.uint8)
    turned = np.ascontiguousarray(smooth.transpose(1, 0, 2))
    apart = np.abs(fsr(turned).transpose(1, 0, 2).astype(int) - fsr(smooth))
    assert (apart > 1).mean() < 0.01


@given(
    st.floats(1, 60),
    st.lists(st.floats(0.001, 5), min_size=1, max_size=400),
)
def test_a_way_of_time_ends_within_a_step_of_it(seconds: float, steps: list[float]) -> None:
    terms = Terms(SHAPES["ml-tiny"], seconds=seconds)
    spent, last = 0.0, 0.0
    rounded = 0.0
    for step, took in enumerate(steps):
        part = terms.part(step, spent)
        assert last <= part <= 1
        last = part
        if part >= 1:
            # The step before was still due.
            assert spent - steps[step - 1] < seconds <= spent
            assert rounded >= ROUNDED * seconds - 2 * max(steps)
            break
        rounded += took if part >= 1 - ROUNDED else 0
        spent += took
    else:
        assert terms.part(len(steps), spent) == min(1.0, max(len(steps) / terms.steps,
                                                             spent / seconds))  # fmt: skip


def test_a_way_of_steps_does_not_look_at_the_clock() -> None:
    terms = Terms(SHAPES["ml-tiny"], steps=40)
    assert [terms.part(step, 1e9) for step in (0, 10, 40, 50)] == [0, 0.25, 1, 1]
    assert POINTS == 10


@given(st.dictionaries(st.integers(1, 64), st.floats(0.01, 10), min_size=1))
def test_the_fewest_threads_that_are_nearly_as_fast(seconds: dict[int, float]) -> None:
    chosen = best(seconds)
    limit = min(seconds.values()) * (1 + WORTH)
    assert seconds[chosen] <= limit
    assert all(taken > limit for count, taken in seconds.items() if count < chosen)


def test_threads_that_are_tried() -> None:
    assert [candidates(cores) for cores in (1, 2, 3, 8)] == [[1], [1, 2], [1, 3], [1, 4, 8]]


@given(st.integers(0, 500), st.integers(1, 9_000_000), st.integers(1, 200), st.integers(1, 10**9))
def test_frames_that_fit_are_even_over_the_time(
    count: int, pixels: int, most: int, room: int
) -> None:
    kept = fitting(count, pixels, most, room)
    assert len(kept) <= max(1, min(most, room // pixels))
    assert kept == sorted(set(kept))
    if kept:
        steps = np.diff([*kept, count])
        assert kept[0] == 0
        assert steps.max() - steps.min() <= 1


@given(st.lists(st.integers(0, 60), min_size=1, max_size=5))
def test_every_second_frame_of_each_scene_stays_in_its_order(scenes: list[int]) -> None:
    kept, left = halved(scenes)
    assert left == [(count + 1) // 2 for count in scenes]
    assert list(kept.values()) == list(range(sum(left)))
    assert list(kept) == sorted(kept)


def noise(seed: int, height: int = 240, width: int = 320) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_sieve_leaves_out_what_is_near_flat_or_the_same() -> None:
    sieve = Sieve(interval=0.5)
    assert not sieve.takes(0, np.zeros((240, 320, 3), np.uint8))
    assert sieve.takes(0.1, noise(1))
    assert not sieve.takes(0.3, noise(2))
    assert not sieve.takes(0.7, noise(1))
    assert sieve.takes(0.7, noise(2))
    assert sieve.takes(1.3, noise(2, 480, 640)), "another size is another picture"


def test_a_recording_that_is_full_is_thinned_and_covers_its_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path, most=8)
    frames = ((index * 0.5, noise(index)) for index in range(30))
    grown = folder.extend(Recording("screen"), frames)
    assert grown.frames == len(folder.files()) <= 8
    assert grown.whole
    assert folder.thinned
    assert folder.read() == replace(grown, seconds=14.5)
    again = folder.extend(grown, [(0.0, noise(99))])
    assert len(again.scenes) == 2


def test_a_recording_that_is_stopped_goes_on_as_another_scene(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    stops = iter([False, False, True])
    frames = [(index * 0.5, noise(index)) for index in range(9)]
    cut = folder.extend(Recording("screen"), frames, stopped=lambda: next(stops))
    assert (cut.scenes, cut.whole) == ((2,), False)
    whole = folder.extend(folder.read(), frames[4:])
    assert (whole.scenes, whole.whole) == ((2, 5), True)
    assert folder.read() == whole


def test_a_recording_that_a_crash_cut_short_is_still_its_games(tmp_path: Path) -> None:
    class CrashError(Exception):
        pass

    def crash(count: int, _now: float) -> None:
        if count == 3:
            raise CrashError

    folder = Folder(tmp_path)
    frames = [(index * 0.5, noise(index)) for index in range(9)]
    before = folder.extend(Recording("screen", asked=90), frames[:2])
    with pytest.raises(CrashError):
        folder.extend(before, frames[4:], crash)
    found = folder.read()
    assert (found.source, found.whole, found.scenes) == ("screen", False, (2, 1))
    (tmp_path / "recording.json").write_text("{")
    assert folder.read().scenes == (3,)


def test_a_source_is_asked_every_half_second_and_missed_ticks_are_left_out() -> None:
    now = [0.0]
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    def grab(tick: int) -> Pixels:
        now[0] += 0.7 if tick == 1 else 0.1
        return noise(tick)

    times = [moment for moment, _ in paced(grab, 3, lambda: now[0], wait)]
    np.testing.assert_allclose(times, [0, 0.5, 1.5, 2, 2.5])


def test_a_machine_that_stands_still_at_once_has_a_picture_nevertheless() -> None:
    clock = iter([0.0, *[10.0] * 9])
    given = paced(noise, 0.2, lambda: next(clock), lambda _: None)
    assert [moment for moment, _ in given] == [0.0]


def order(**changes: object) -> dict[str, object]:
    told: dict[str, object] = {
        "id": NAME, "size": "ml-tiny", "seed": 1, "seconds": 60.0, "steps": None,
        "frames": [NAME] * 9, "watched": [NAME],
    }  # fmt: skip
    return told | changes


def test_an_order_travels_as_text() -> None:
    made = Order.parse(json.dumps(order()))
    assert Order.parse(made.text()) == made


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "../x"}, "32 hexadecimal"),
        ({"size": "ml-huge"}, "ml-tiny"),
        ({"seconds": 1e9}, "30"),
        ({"seconds": float("nan")}, "minutes"),
        ({"seconds": 0}, "minutes"),
        ({"seconds": None}, "either"),
        ({"steps": 5}, "either"),
        ({"seconds": None, "steps": 10**9}, "1000000"),
        ({"seconds": None, "steps": True}, "not an order"),
        ({"frames": [NAME] * 3}, "from 8"),
        ({"frames": [NAME] * (MAX_FRAMES + 1)}, str(MAX_FRAMES)),
        ({"watched": [NAME] * 20}, "watch"),
        ({"frames": ["/etc/passwd"] * 9}, "hexadecimal"),
        ({"seed": -1}, "seed"),
        ({"frames": 5}, "not an order"),
        ({"size": None}, "not an order"),
    ],
)
def test_an_order_that_costs_too_much_or_is_none_is_refused(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Order.parse(json.dumps(order(**changes)))


@given(st.text(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(order())),
                                                               inner, max_size=7),
    max_leaves=12,
).map(json.dumps))  # fmt: skip
def test_no_text_does_harm(text: str) -> None:
    with pytest.raises(UsageError):
        Order.parse(text)
    with pytest.raises(UsageError, match="too long"):
        Order.parse(text.ljust(MAX_ORDER + 1))


@given(st.dictionaries(
    st.sampled_from([*Progress.__dataclass_fields__]), st.text(max_size=300)
))  # fmt: skip
def test_what_a_stranger_tells_is_made_harmless(fields: dict[str, str]) -> None:
    seen = Progress.read(fields)
    assert 0 <= seen.part <= 1
    assert all(text.isprintable() and len(text) <= 200 for text in (seen.peer, seen.sentence))
    assert all(len(name) == 32 for name in (*seen.pieces, *filter(None, [seen.net])))


def test_a_long_state_is_cut_and_joined() -> None:
    data = bytes(range(256)) * 40_000
    assert b"".join(pieces(data)) == data
    assert max(map(len, pieces(data))) == 4 << 20


def told(state: str, beat: int = 0, part: float = 0.0, attempt: int = 1) -> Progress:
    return Progress.read(
        {"state": state, "beat": str(beat), "part": str(part), "attempt": str(attempt)}
    )


def test_a_peer_that_tells_something_is_left_alone() -> None:
    watch = OrderWatch()
    for second in range(200):
        assert watch.advise(told("running", beat=second // 10), second) == "wait"


def test_a_silent_peer_is_replaced_and_in_the_end_nobody_is_asked() -> None:
    watch, now, advice = OrderWatch(), 0.0, []
    for attempt in range(1, MOST_SILENT + 1):
        watch.advise(told("running", attempt=attempt), now)
        assert watch.advise(told("running", attempt=attempt), now + SILENT) == "wait"
        now += SILENT + 1
        advice.append(watch.advise(told("running", attempt=attempt), now))
    assert advice == ["again"] * (MOST_SILENT - 1) + ["give up"]
    # One that came further first does not count.
    assert watch.advise(told("running", part=0.5, attempt=9), now) == "wait"
    assert watch.advise(told("running", part=0.5, attempt=9), now + SILENT + 1) == "again"


def test_an_order_that_nobody_takes_is_sent_less_and_less_often() -> None:
    watch = OrderWatch()
    sent = [now for now in range(400) if watch.advise(told("waiting"), now) == "again"]
    assert sent[0] == UNTAKEN + 1
    assert np.diff(sent).tolist() == [2 * UNTAKEN + 1, 4 * UNTAKEN + 1]


def test_failures_are_counted() -> None:
    watch = OrderWatch()
    advice = [watch.advise(told("failed"), now) for now in range(MOST_FAILED)]
    assert advice == ["again"] * (MOST_FAILED - 1) + ["give up"]
    assert OrderWatch().advise(told("left"), 0) == "again"
    assert OrderWatch().advise(told("done"), 0) == "fetch"


def test_a_frame_travels_by_whichever_is_smaller() -> None:
    flat = np.full((240, 320, 3), 90, np.uint8)
    (back,) = pictures.unpacked([pictures.packed(flat)])
    np.testing.assert_array_equal(back, flat)
    assert pictures.packed(flat)[:4] == b"RIFF"
    grain = np.asarray(np.clip(noise(1) // 16 + 120, 0, 255), np.uint8)
    sent = pictures.packed(grain)
    assert sent[:2] == b"\xff\xd8"
    assert np.abs(pictures.unpacked([sent])[0].astype(int) - grain).mean() < 3


def test_frames_of_strangers_are_bounded_before_they_are_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CodecError):
        pictures.unpacked([b"no picture"])
    with pytest.raises(UsageError, match="240x240"):
        pictures.unpacked([pictures.packed(noise(1, 64, 64))])
    two = [pictures.packed(noise(1)), pictures.packed(noise(2))]
    monkeypatch.setattr(pictures, "MAX_PIXELS", 320 * 240 + 1)
    with pytest.raises(UsageError, match="megapixels"):
        pictures.unpacked(two)
    monkeypatch.setattr(pictures, "MAX_BYTES", len(two[0]) + 1)
    with pytest.raises(UsageError, match="MiB"):
        pictures.unpacked(two)


@given(st.lists(st.integers(1, 1000), max_size=60), st.integers(1, 20_000))
def test_as_many_frames_are_sent_as_have_room(sizes: list[int], most: int) -> None:
    kept = pictures.fitting(sizes, most)
    assert sum(sizes[index] for index in kept) <= most or len(kept) == 1
    assert bool(kept) == bool(sizes)
    assert kept == sorted(set(kept))
