"""The sockets of the sound and of the microphone, as any program may use them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from p2c2g.display.hub import Hub
from p2c2g.display.microphone_socket import BORNE, HEARD
from p2c2g.display.sound_socket import QUEUE
from p2c2g.display.web import ViewerServer
from p2c2g.media.sound import MAX_PACKET_BYTES, SoundPacket
from tests.lane import PATIENCE


class Voice:
    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.muted = 0

    def hear(self, packet: bytes) -> None:
        self.heard.append(packet)

    def mute(self) -> None:
        self.muted += 1


@pytest.fixture
def sound() -> Hub[SoundPacket]:
    return Hub()


@pytest.fixture
def voice() -> Voice:
    return Voice()


@pytest.fixture
def url(sound: Hub[SoundPacket], voice: Voice) -> Iterator[str]:
    server = ViewerServer(Hub(), dict, clock=lambda: 12.5, sound=sound, microphone=voice)
    with closing(server):
        yield server.start().replace("http", "ws")


def opened(url: str, part: str) -> ClientConnection:
    return connect(url + part, open_timeout=PATIENCE)


def why_closed(connection: ClientConnection) -> tuple[int, str]:
    with suppress(ConnectionClosed):
        while True:
            connection.recv(PATIENCE)
    code, reason = connection.close_code, connection.close_reason
    assert code is not None
    assert reason is not None
    return code, reason


def received(sound: Hub[SoundPacket], listener: ClientConnection) -> None:
    """Publish until the listener gets something: it subscribes a moment after it is connected."""
    first = 0 if sound.latest is None else sound.latest.number + 1
    for number in range(first, first + 100_000):
        sound.publish(SoundPacket(number, 12.0, b"opus"))
        try:
            message = listener.recv(0.02)
        except TimeoutError:
            continue
        _, captured, sent = struct.unpack("<Idd", message[:20])  # type: ignore[arg-type]
        assert (captured, sent) == (12_000.0, 12_500.0)
        assert message[20:] == b"opus"
        return


def test_a_packet_says_when_it_was_captured_and_sent(url: str, sound: Hub[SoundPacket]) -> None:
    with opened(url, "sound") as listener:
        received(sound, listener)
        sound.close()
        assert why_closed(listener) == (1001, "The session has ended.")


def test_a_listener_that_does_not_read_holds_up_nobody(url: str, sound: Hub[SoundPacket]) -> None:
    with opened(url, "sound") as other, opened(url, "sound") as deaf:
        received(sound, other)
        received(sound, deaf)
        last = 200_000 + 50 * QUEUE
        for number in range(200_000, last + 1):
            sound.publish(SoundPacket(number, 12.0, bytes(MAX_PACKET_BYTES)))
        while struct.unpack("<I", other.recv(PATIENCE)[:4])[0] != last:  # type: ignore[arg-type]
            pass


def test_without_sound_or_microphone_that_is_said() -> None:
    with closing(ViewerServer(Hub(), dict)) as server:
        url = server.start().replace("http", "ws")
        with opened(url, "sound") as listener:
            assert why_closed(listener) == (1013, "This session has no sound.")
        with opened(url, "microphone") as speaker:
            assert why_closed(speaker) == (1013, "This session has no microphone.")


def test_one_speaks_at_a_time_and_is_muted_when_it_leaves(url: str, voice: Voice) -> None:
    with opened(url, "microphone") as first:
        first.send(b"opus")
        with opened(url, "microphone") as second:
            assert why_closed(second) == (1013, "Somebody else speaks.")
    with opened(url, "microphone") as third:
        # The first one's place is free once its end was heard of.
        third.send(b"more")
        while b"more" not in voice.heard:
            try:
                third.recv(0.02)
            except TimeoutError:
                continue
            except ConnectionClosed:
                break
    assert voice.heard[0] == b"opus"


@pytest.mark.parametrize("packet", [b"", bytes(MAX_PACKET_BYTES + 1), "text"])
def test_what_is_no_packet_ends_the_microphone(url: str, packet: bytes | str, voice: Voice) -> None:
    with opened(url, "microphone") as speaker:
        speaker.send(packet)
        assert why_closed(speaker) == (1008, "A microphone sends Opus packets as they come.")
    assert voice.heard == []


def test_a_flood_ends_the_microphone(url: str, voice: Voice) -> None:
    # The clock stands still: nothing is earned.
    with opened(url, "microphone") as speaker:
        for _ in range(BORNE + 1):
            speaker.send(b"opus")
        assert why_closed(speaker)[0] == 1008
    assert len(voice.heard) == HEARD
