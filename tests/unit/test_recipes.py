"""The rungs of quality: what a step gives, what is expected, and which codecs there is time for."""

from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.media import codec_speeds
from p2c2g.media.codecs import CODECS
from p2c2g.session.recipes import (
    ALWAYS,
    ENCODING,
    RESIDUALS,
    SOURCES,
    Load,
    Rung,
    Rungs,
    in_time,
    peer_part,
    rung,
)
from tests.effort import examples

TABLES = {"sources": SOURCES, "residuals": RESIDUALS}
ALL = frozenset(CODECS)
tables = st.sampled_from(sorted(TABLES))
codecs = st.frozensets(st.sampled_from(sorted(CODECS)))


def made(table: str, codec: str = "jpeg", quality: int = 75, *, in_colour: bool = False) -> Rungs:
    rungs = TABLES[table]
    return Rungs(rungs, rung(rungs, codec, quality, in_colour=in_colour), prior=1000.0)


def names(rungs: tuple[Rung, ...]) -> list[str]:
    return [str(one) for one in rungs]


# -- the ladder


@given(tables, st.sampled_from(sorted(CODECS)), st.integers(1, 100), st.booleans(), codecs)
@settings(deadline=None, derandomize=True, max_examples=examples(200))
def test_each_rung_takes_fewer_bytes_and_costs_more(
    table: str, codec: str, quality: int, in_colour: bool, able: frozenset[str]
) -> None:
    rungs = made(table, codec, quality, in_colour=in_colour)
    usual, *lower = rungs.ladder(able)
    assert usual == rungs.usual
    assert {one.codec for one in lower} <= able
    assert all(one.size < usual.size for one in lower)
    assert all(a.size > b.size and a.loss < b.loss for a, b in pairwise(lower))


@pytest.mark.parametrize("table", TABLES)
def test_more_codecs_never_make_it_worse(table: str) -> None:
    few, many = made(table).ladder(), made(table).ladder(ALL)
    for one in few[1:]:
        assert any(other.size <= one.size and other.loss <= one.loss for other in many)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_names_each_rung_once_and_the_usual_one_takes_1(table: str) -> None:
    rungs = TABLES[table]
    assert len({str(one) for one in rungs}) == len(rungs)
    assert [one.loss for one in rungs if one.size == 1.0] == [0.0]


def test_one_goes_down_and_up_rung_by_rung() -> None:
    rungs = made("residuals")
    going, walked = rungs.usual, [rungs.usual]
    while (below := rungs.lower(going, ALL)) is not None:
        assert rungs.higher(below, ALL) == going
        going = below
        walked.append(going)
    assert tuple(walked) == rungs.ladder(ALL)
    assert rungs.higher(rungs.usual, ALL) is None


def test_a_rung_whose_codec_there_is_no_longer_time_for_has_neighbours_all_the_same() -> None:
    rungs = made("residuals")
    webp = next(one for one in rungs.ladder(ALL) if one.codec != "jpeg")
    below, above = rungs.lower(webp), rungs.higher(webp)
    assert below is not None
    assert above is not None
    assert below.size < webp.size < above.size
    assert {below.codec, above.codec} == {"jpeg"}


def test_colours_are_given_up_before_quality() -> None:
    usual, next_, *_ = made("residuals", quality=75, in_colour=True).ladder()
    assert usual.in_colour
    assert not next_.in_colour
    assert next_.quality >= usual.quality


def test_a_form_keeps_the_gain_of_its_session() -> None:
    for one in made("residuals").ladder(ALL):
        assert one.form(2).gain == 2


def test_a_quality_between_two_of_the_table_lies_between_them() -> None:
    low, middle, high = (rung(SOURCES, "jpeg", quality) for quality in (50, 60, 70))
    assert low.size < middle.size < high.size
    assert low.loss > middle.loss > high.loss
    assert rung(SOURCES, "png", 50).size > max(one.size for one in SOURCES)


# -- what is expected


def test_what_was_seen_is_expected_of_all_rungs_in_proportion() -> None:
    rungs = made("residuals")
    first, second, *_ = rungs.ladder(ALL)
    assert rungs.expects(first) == pytest.approx(1000 * first.size)
    for _ in range(60):
        rungs.seen(first, 4, 20_000)  # one frame
    assert rungs.expects(first) == pytest.approx(5000, rel=0.01)
    assert rungs.expects(second) == pytest.approx(5000 * second.size / first.size, rel=0.01)


def test_what_a_rung_really_takes_is_learnt_in_some_steps() -> None:
    rungs = made("residuals")
    first, second, *_ = rungs.ladder(ALL)
    really = {first: 4000.0, second: 4000 * second.size / first.size * 1.4}
    for _ in range(10):
        for one, size in really.items():
            for _ in range(30):
                rungs.seen(one, 4, round(4 * size))
    assert rungs.expects(first) == pytest.approx(really[first], rel=0.05)
    assert rungs.expects(second) == pytest.approx(really[second], rel=0.05)


def test_the_best_rung_that_fits_is_the_one() -> None:
    rungs = made("residuals")
    ladder = rungs.ladder(ALL)
    for one in ladder:
        assert rungs.fits(rungs.expects(one), ALL) == one
    assert rungs.fits(1e9, ALL) == rungs.usual
    assert rungs.fits(rungs.expects(ladder[-1]) / 2, ALL) is None


@given(
    tables,
    codecs,
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 64), st.integers(0, 10**9)), max_size=30),
)
@settings(deadline=None, derandomize=True, max_examples=examples(200))
def test_whatever_is_seen_a_lower_rung_is_never_expected_to_take_more(
    table: str, able: frozenset[str], said: list[tuple[int, int, int]]
) -> None:
    rungs = made(table)
    every = rungs.ladder(ALL)
    for which, chunks, size in said:
        rungs.seen(every[which % len(every)], chunks, size)
    expected = [rungs.expects(one) for one in rungs.ladder(able)]
    assert expected == sorted(expected, reverse=True)
    assert expected[-1] > 0


def test_a_rung_is_found_by_how_it_writes_whatever_ladder_it_is_on() -> None:
    rungs = made("residuals")
    for one in RESIDUALS:
        assert rungs.find(one.codec, one.quality) == (one if one.size <= 1 else None)
    assert rungs.find("jpeg", 75, in_colour=True) is None
    coloured = made("residuals", in_colour=True)
    assert coloured.find("jpeg", 75, in_colour=True) == coloured.usual


def test_what_is_none_of_its_rungs_teaches_nothing() -> None:
    rungs = made("sources", quality=80)
    before = rungs.expects(rungs.usual)
    rungs.seen(Rung("jpeg", 3, 0.1, 1.0), 4, 10_000)
    rungs.seen(rungs.usual, 0, 10_000)
    assert rungs.expects(rungs.usual) == before


# -- which codecs there is time for

HERE = {"jpeg": 500.0, "webp": 60.0, "avif": 10.0}
#: Four chunks of 30 frames, of a quarter of 1280x720.
LOAD = Load(chunks=120, megapixels=0.2304, seconds=0.02)


def test_jpeg_is_always_in_time() -> None:
    assert in_time(LOAD, {}, []) == ALWAYS
    assert in_time(LOAD, {"jpeg": 0.001}, [(1, {"jpeg": 0.001})]) == ALWAYS


def test_webp_is_in_time_where_both_ends_are_fast_and_slots_are_many() -> None:
    few = Load(30, 0.2304, 0.02)
    fast = {"webp": 60.0}
    assert in_time(few, HERE, [(4, fast)]) == ALWAYS | {"webp"}
    assert in_time(few, {"webp": 20.0}, [(4, fast)]) == ALWAYS, "this machine is too slow"
    assert in_time(few, HERE, [(4, {"webp": 10.0})]) == ALWAYS, "the peers are too slow"
    assert in_time(LOAD, {"webp": 1e3}, [(1, fast)]) == ALWAYS, "the peers have no slots left"
    assert in_time(LOAD, {"webp": 1e3}, [(4, fast)]) == ALWAYS | {"webp"}


def test_a_few_slow_peers_do_not_keep_the_others_from_it() -> None:
    few, fast, silent = Load(30, 0.2304, 0.02), {"webp": 60.0}, dict[str, float]()
    assert "webp" in in_time(few, HERE, [(7, fast), (1, silent)])
    assert "webp" not in in_time(few, HERE, [(1, fast), (1, silent)])


@given(st.floats(0, 1e5), st.floats(0.001, 10), st.floats(0, 1), st.floats(0, 1e4))
@settings(deadline=None, derandomize=True, max_examples=examples(200))
def test_less_to_do_never_needs_a_faster_machine(
    chunks: float, megapixels: float, seconds: float, speed: float
) -> None:
    peers = [(2, {"webp": speed})]
    more = in_time(Load(chunks, megapixels, seconds), HERE, peers)
    assert more <= in_time(Load(chunks / 2, megapixels, seconds), HERE, peers)


def test_what_a_peer_tells_is_parted_into_encoding_and_decoding() -> None:
    told = {"webp": 50.0, "of the future": 9.0}
    encode, decode = (peer_part(told, encoding=is_it)["webp"] for is_it in (True, False))
    assert 1 / encode + 1 / decode == pytest.approx(1 / 50.0)
    assert encode < decode
    assert ENCODING.keys() == CODECS.keys()


# -- this machine


def test_this_machine_is_measured_by_the_clock_that_is_given() -> None:
    ticks = count()
    found = codec_speeds.measured(lambda: next(ticks) * 0.001)
    assert set(found) == {one.codec for one in (*SOURCES, *RESIDUALS)}
    megapixels = codec_speeds.SIZE.width * codec_speeds.SIZE.height / 1e6
    for speed in found.values():
        assert speed.encode == pytest.approx(megapixels / 0.001)
        assert speed.decode == pytest.approx(megapixels / 0.001)


def test_a_clock_that_stands_still_is_no_fault() -> None:
    found = codec_speeds.measured(lambda: 0.0)
    assert all(speed.encode > 0 and speed.decode > 0 for speed in found.values())
