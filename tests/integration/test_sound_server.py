"""A real sound server: what a game plays into its own sink is heard, and nothing is left of it."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic

import numpy as np
import pytest

from p2c2g.errors import UsageError
from p2c2g.media.sound import PACKET_SAMPLES, PACKET_SECONDS, RATE
from p2c2g.system import processes
from p2c2g_capture.sound import pulse
from p2c2g_capture.sound.choice import SoundChoice
from p2c2g_capture.sound.encoder import OpusEncoder
from p2c2g_capture.sound.microphone import VirtualMicrophone
from p2c2g_capture.sound.pulse import GameSink, PulseSource, stream_of
from tests.lane import PATIENCE
from tests.sounds import tone_block, tone_parts

pytestmark = [pytest.mark.needs("pulseaudio", "pactl", "parec"), pytest.mark.usefixtures("patient")]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server start and answer in its own time, however busy the machine is."""
    monkeypatch.setattr(pulse, "_ANSWER", PATIENCE)
    monkeypatch.setattr(pulse, "_START", PATIENCE)


def play(sink: GameSink, folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    """Start a program that plays the tone as a game would."""
    blocks = [tone_block(0.0, number).samples for number in range(round(seconds / PACKET_SECONDS))]
    (folder / "tone.raw").write_bytes(np.concatenate(blocks).tobytes())
    env = {**os.environ, **sink.told, "HOME": str(folder)}
    return processes.start(
        ["pacat", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=2",
         str(folder / "tone.raw")],
        env=env,
    )  # fmt: skip


def hear_tone(source: PulseSource) -> None:
    """Wait until the tone is heard, and nothing else for half a second."""
    deadline, kept = monotonic() + PATIENCE, []
    while monotonic() < deadline:
        block = source.read()
        if block is None:
            continue
        assert block.samples.shape == (PACKET_SAMPLES, 2)
        assert block.captured_at <= monotonic()
        kept = [*kept[-24:], block.samples[:, 0] / 32768]
        if len(kept) == 25 and tone_parts(np.concatenate(kept)).min() > 0.9:
            return
    raise AssertionError("the tone is not heard")


def test_a_game_is_heard_and_nothing_is_left(tmp_path: Path) -> None:
    with GameSink() as sink, closing(sink.listen("the game")) as source:
        game = play(sink, tmp_path, 2 * PATIENCE)  # It is listened to twice.
        try:
            hear_tone(source)
            server = sink.told["PULSE_SERVER"]
            found = stream_of(game.pid, server)
            assert found is not None
            alone = PulseSource("it", lambda: (f"--monitor-stream={found}",), server)
            with closing(alone):
                hear_tone(alone)
        finally:
            processes.stop(game)
        daemon, folder = sink._daemon, sink._scratch
        assert daemon is not None
        assert folder is not None
    assert daemon.poll() is not None
    assert not folder.path.exists()


def test_a_server_that_ends_is_told_and_ends_nothing(tmp_path: Path) -> None:
    with GameSink() as sink, closing(sink.listen("the game")) as source:
        while source.read() is None:
            pass
        assert sink._daemon is not None
        processes.stop(sink._daemon)
        clock = monotonic()
        while not source.notice():
            source.read()
            assert monotonic() - clock < PATIENCE
        assert source.notice() == (
            "There is no sound of the game: the sound server does not give it"
        )


def test_a_device_that_is_none_is_refused_by_the_names_of_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with GameSink() as sink:
        monkeypatch.setenv("PULSE_SERVER", sink.told["PULSE_SERVER"])
        with pytest.raises(UsageError, match=r"--audio 'nose' is no device.*auto, off or one of"):
            SoundChoice.of("nose", "pattern", is_heard=True)
        device = f"{sink.told['PULSE_SINK']}.monitor"
        SoundChoice.of(device, "pattern", is_heard=True).close()


def test_what_is_no_sound_is_counted_and_ends_nothing() -> None:
    with GameSink() as sink, closing(VirtualMicrophone(sink.server)) as microphone:
        source = PulseSource("it", lambda: ("-d", microphone.name), sink.server)
        encoder = OpusEncoder()
        random = Random(7)
        for number in range(50):
            microphone.hear(random.randbytes(random.randint(1, 1275)))
            microphone.hear(encoder.encode(tone_block(0.0, number)).data)
        assert microphone.refused
        with closing(source):
            numbers = count()
            deadline = monotonic() + PATIENCE
            while (block := source.read()) is None or np.abs(block.samples).max() < 3000:
                microphone.hear(encoder.encode(tone_block(0.0, next(numbers))).data)
                assert monotonic() < deadline
        microphone.mute()
        microphone.mute()
