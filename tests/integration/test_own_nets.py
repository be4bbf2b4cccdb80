"""A game's own net, from the gamer's disk over the broker to a peer and into the picture."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState, Picture
from p2c2g.messaging import names
from p2c2g.messaging.blobs import Blobs
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.nets.store import NetStore, OwnNet
from p2c2g.session.config import SessionConfig
from p2c2g_capture.ownnets import LIFETIME, Loan, with_nets
from p2c2g_workers import nets
from p2c2g_workers.processors import network
from tests.honest import EXACT, shown_by
from tests.lane import Lane, settings
from tests.nets import nudged
from tests.pool import LASTING, MakeWorker, Worker
from tests.sessions import PATIENCE, Player

pytestmark = pytest.mark.skipif(network.MISSING, reason="needs onnx: pip install 'p2c2g[ml]'")

SIZE = Size(96, 64)
GAME = "a-game"


@pytest.fixture
def own(tmp_path: Path) -> tuple[OwnNet, ...]:
    """The package's smallest net, a little brighter, as some game's own."""
    model = nudged(nets.shipped("ml-tiny").model, 3)
    NetStore(tmp_path / "data").put(GAME, "ml-tiny", model, {})
    return NetStore(tmp_path / "data").find(GAME)


@pytest.fixture
def here(own: tuple[OwnNet, ...], monkeypatch: pytest.MonkeyPatch) -> str:
    """The own net as this process has it, to compare with."""
    monkeypatch.setattr(nets, "_held", nets.Held())
    nets.hold(nets.read(own[0].path.read_bytes()))
    return f"upscale:2:ml-tiny@{own[0].name}"


def art(number: int) -> Pixels:
    """Return a frame of blocks."""
    blocks = np.random.default_rng(number).integers(0, 256, (8, 12, 3), np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)


@pytest.fixture(params=["threads", "processes"])
def peer(request: pytest.FixtureRequest, worker: MakeWorker, tmp_path: Path) -> Worker:
    """A peer that has never had anything."""
    return worker(
        "-Q", "cpu", "-c", "1", "-P", request.param, application="p2c2g",
        environment={**LASTING, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip


@pytest.fixture
def player(
    broker: EmbeddedBroker, lane: Lane, own: tuple[OwnNet, ...], peer: Worker
) -> Iterator[Player]:
    """A session of the game."""
    config = SessionConfig(
        size=SIZE, operations=with_nets(Pipeline.parse("upscale:2:ml"), GAME, own),
        grid=Grid(2, 1), codec="raw", form=EXACT, deadline=PATIENCE, paced=False, reuse=False,
        steady=False,  # Else it begins with little, until it knows what there is.
    )  # fmt: skip
    with Player(settings(broker.url), config) as playing:
        yield playing


def parts(picture: Picture) -> list[tuple[slice, slice]]:
    """Return where each chunk is in a picture."""
    targets = [tile.chunk.target for tile in picture.tiles]
    return [(slice(each.y, each.bottom), slice(each.x, each.right)) for each in targets]


def test_a_game_s_own_net_comes_and_makes_the_picture(
    lane: Lane, own: tuple[OwnNet, ...], here: str, player: Player, peer: Worker, tmp_path: Path
) -> None:
    general = ["upscale:2:base", *(f"upscale:2:{name}" for name in nets.SHAPES)]
    general = [text for text in general if "ml-" not in text or nets.is_shipped(text[10:])]
    # Nobody has put it at the broker yet: the pool's nets do it.
    pixels = art(0)
    picture = player.play(pixels)
    assert picture.state is FrameState.COMPLETE
    made = [shown_by(text, pixels) for text in general]
    for part in parts(picture):
        assert any(np.array_equal(picture.pixels[part], whole[part]) for whole in made)
    assert here not in player.ran()

    lane.wait_until(lambda: f"The net {own[0].name} cannot be had" in peer.log())
    assert lane.client.keys(names.blob("*")) == []


def test_it_is_fetched_while_others_do_the_work(
    lane: Lane, own: tuple[OwnNet, ...], here: str, player: Player, peer: Worker, tmp_path: Path
) -> None:
    with Loan(own, Blobs(lane.client)):
        frames = map(art, count())
        deadline = monotonic() + PATIENCE
        while here not in player.ran():
            assert monotonic() < deadline, f"it never came: {player.ran()}\n{peer.log()}"
            assert player.play(next(frames)).state is FrameState.COMPLETE
        # From here on it is the game's own net, and its bytes are those that it gives here.
        before = player.ran()[here]
        for _ in range(5):
            pixels = next(frames)
            picture = player.play(pixels)
            np.testing.assert_array_equal(picture.pixels, shown_by(here, pixels))
        assert player.ran()[here] == before + 10
        plain = shown_by("upscale:2:ml-tiny", pixels)
        assert not np.array_equal(picture.pixels, plain), "the two nets do the same"
    (kept,) = tmp_path.glob("cache/**/*.onnx")
    assert kept.name == f"{own[0].name}.onnx"
    assert kept.read_bytes() == own[0].path.read_bytes()


def test_a_loan_lasts_and_is_renewed(
    broker: EmbeddedBroker, lane: Lane, own: tuple[OwnNet, ...]
) -> None:
    blobs = Blobs(lane.client)
    key = names.blob(own[0].name)
    loan = Loan(own, blobs, interval=0.01)
    with loan:
        assert blobs.get(own[0].name) == own[0].path.read_bytes()
        assert lane.client.pttl(key) > (LIFETIME - 60) * 1000
        lane.client.pexpire(key, 60_000)
        lane.wait_until(lambda: lane.client.pttl(key) > 60_000)
        # The broker was restarted, and has forgotten everything.
        lane.client.flushall()
        lane.wait_until(lambda: blobs.get(own[0].name) is not None)
    assert blobs.get(own[0].name) is not None, "the next session may need it soon"
