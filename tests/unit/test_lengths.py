"""A session sends no chunk, and asks for no residual, that is longer than anybody takes."""

from __future__ import annotations

import pytest

from p2c2g.errors import BrokerUnavailableError, UsageError
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.dispatcher import Dispatcher
from p2c2g.messaging.limits import MAX_BODY, MAX_BULK, MAX_HEAD
from p2c2g.messaging.places import places
from p2c2g.session.config import SessionConfig
from p2c2g.settings import Settings

DOUBLE, LARGE = Pipeline.parse("upscale:2"), Size(3840, 2160)


@pytest.mark.parametrize("name", ["raw", "png"])
def test_what_cannot_be_made_smaller_has_to_fit(name: str) -> None:
    with pytest.raises(UsageError, match=r"A chunk of 3840x2160 may have 24883200 bytes as .*more"):
        SessionConfig(LARGE, Pipeline.parse("pass"), Grid(1, 1), codec=name)
    with pytest.raises(UsageError, match=f"A residual of 3840x2160 .* as {name}"):
        SessionConfig(Size(1920, 1080), DOUBLE, Grid(1, 1), form=Form(name, 75, in_colour=True))
    SessionConfig(LARGE, Pipeline.parse("pass"), Grid(2, 2), codec=name, form=Form(name, 75))


def test_a_large_frame_with_loss_is_let_pass_undivided() -> None:
    SessionConfig(LARGE, DOUBLE, Grid(1, 1))


def test_a_chunk_that_is_too_long_all_the_same_is_not_sent() -> None:
    with Broker(Settings()) as broker:
        dispatcher = Dispatcher(broker.app, "s", places("s", "cpu"))
        with pytest.raises(BrokerUnavailableError, match="cut frames into more chunks"):
            dispatcher.send(0, [(0, b"", b"short", ""), (1, b"", bytes(MAX_BODY + 1), "")])


def test_the_broker_takes_whatever_may_be_sent() -> None:
    """A message is a body with its own header, and an envelope's head."""
    assert MAX_BODY + 2 * MAX_HEAD < MAX_BULK
