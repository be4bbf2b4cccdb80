"""Where a result goes: to the stream of the session that its chunk names, whatever else is told."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import states

from p2c2g.errors import CodecError
from p2c2g.media.wire import ResultHeader
from p2c2g.messaging import names, results
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.limits import MAX_BODY
from p2c2g.messaging.results import QUEUE_OF, SESSION_OF, FrameResultBackend
from p2c2g.settings import Settings
from p2c2g_workers.tasks import EnhancedChunk

HEADER = ResultHeader(0, 0, 1, "p@here", 1, 0, 0, 1)


@pytest.fixture
def backend() -> Iterator[FrameResultBackend]:
    with Broker(Settings()) as broker:
        yield broker.app.backend


def told(backend: FrameResultBackend, result: Any, **request: Any) -> Any:
    state = states.FAILURE if isinstance(result, Exception) else states.SUCCESS
    return backend.commands("s.0.0", result, state, request=SimpleNamespace(**request))


@pytest.mark.parametrize(
    "result", [EnhancedChunk(HEADER, HEADER.pack(), b"r"), CodecError("no picture")]
)
def test_it_is_asked_of_one_function(
    backend: FrameResultBackend, result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def place(queue: str, session: str) -> str:
        asked.append((queue, session))
        return "the place"

    monkeypatch.setattr(results, "place", place)
    request = {QUEUE_OF: "cpu", SESSION_OF: "s", "reply_to": names.results("other")}
    added, *_ = told(backend, result, **request)
    assert asked == [("cpu", "s")]
    assert added[:2] == ("XADD", "the place")


def test_what_no_session_waits_for_goes_the_stock_way(backend: FrameResultBackend) -> None:
    assert told(backend, 5, reply_to=names.results("s")) is None
    assert told(backend, 5, **{QUEUE_OF: "train", SESSION_OF: ""}) is None


def test_a_result_longer_than_any_is_a_failure(backend: FrameResultBackend) -> None:
    result = EnhancedChunk(HEADER, HEADER.pack(), bytes(MAX_BODY + 1))
    added, *_ = told(backend, result, **{QUEUE_OF: "cpu", SESSION_OF: "s"})
    assert states.FAILURE in added
    assert any("send smaller chunks" in part for part in added if isinstance(part, str))
    assert not any(isinstance(part, bytes) and len(part) > MAX_BODY for part in added)
