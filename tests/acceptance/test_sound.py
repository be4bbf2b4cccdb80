"""The game's sound in a real browser: from the command to the loudspeaker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.hearing import LISTEN
from tests.sounds import flashes_in, heard_in, onsets, tone_parts

from .browser import wait_until
from .conftest import finish

pytestmark = pytest.mark.needs("chromium")

#: Gives two seconds of what the worklet plays of a sine of 500 Hz in blocks of ten milliseconds,
#: which was captured from the clock's 1000 ms on.  It is called as a browser's audio thread does,
#: so that nothing depends on when.
PLAY = """async ({missing, delay, then, takes}) => {
  const rate = 48000, quantum = 128;
  globalThis.sampleRate = rate;
  globalThis.currentTime = 0;
  globalThis.AudioWorkletProcessor = class {
    port = {postMessage() {}};
  };
  globalThis.registerProcessor = (name, Player) => {
    globalThis.SoundPlayer = Player;
  };
  await import("/sound-worklet.js");
  const player = new SoundPlayer();
  // What packets take is looked at as long as there is a clock: of the first hundred.
  if (takes) player.heard({clock: 1000 + takes, delay});
  for (let n = 0; n < 190; n += 1) {
    if (n === 100) player.heard({clock: null, delay});
    if (missing.includes(n)) continue;
    const left = Float32Array.from({length: 480}, (_, i) =>
      0.5 * Math.sin(2 * Math.PI * 500 * (n * 480 + i) / rate));
    player.heard({at: 1000 + n * 10, left, right: left.slice()});
  }
  // The context's time 0 is the clock's 1000 and the delay.
  player.heard({clock: 1000 + delay, delay});
  const played = [];
  for (let n = 0; n < 2 * rate / quantum; n += 1) {
    globalThis.currentTime = n * quantum / rate;
    if (then !== null && n === 188) player.heard({clock: 1000 + delay, delay: then});
    const [left, right] = [new Float32Array(quantum), new Float32Array(quantum)];
    player.process([], [[left, right]]);
    played.push(...left);
  }
  return played;
}"""


@pytest.fixture
def viewer_page(page: Page, start: Any) -> Page:
    """The viewer's page of a test picture that flashes and beeps, listened to."""
    run = start(
        "p2c2g-capture", "run", "--source=pattern:beep", "--size=320x180", "--ops=upscale:2",
        "--where=here", "--port=0",
    )  # fmt: skip
    url = run.line_with("Watch at").split()[-1]
    page.add_init_script(f"({LISTEN})()")
    page.goto(url)
    return page


def played(
    page: Page,
    missing: list[int],
    delay: float = 40.0,
    then: float | None = None,
    takes: float = 0.0,
) -> Any:
    asked = {"missing": missing, "delay": delay, "then": then, "takes": takes}
    return np.array(page.evaluate(PLAY, asked))


def sine(seconds: float) -> Any:
    return 0.5 * np.sin(2 * np.pi * 500 * np.arange(round(seconds * 48_000)) / 48_000)


def test_the_beeps_are_heard_until_the_sound_is_ended(viewer_page: Page) -> None:
    page = viewer_page
    button = page.locator("#sound")
    expect(button).to_be_visible()
    expect(page.locator("#sound-group")).to_be_hidden()
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.evaluate("() => { window.all = []; }")
    wait_until(page, "(window.all.push(...window.heard()), window.all.length >= 3)")
    # Beeps come once a second, and are a tone of 1000 Hz.
    wait_until(page, "Math.abs(window.spectrumPeak() - 1000) < 20")
    wait_until(page, "window.flashed().length > 0")
    expect(page.locator("#sound-group")).to_be_visible()
    expect(page.locator("#sound-offset")).not_to_have_text("–")
    button.focus()
    page.keyboard.press("m")
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#sound-group")).to_be_hidden()


def test_each_sample_is_played_when_it_is_due(viewer_page: Page) -> None:
    heard = played(viewer_page, missing=[])
    # The first milliseconds are faded in.
    assert np.abs(heard[480:86_400] - sine(1.8)[480:]).max() < 0.02


def test_what_is_missing_fades_and_the_rest_is_in_its_place(viewer_page: Page) -> None:
    heard = played(viewer_page, missing=[*range(50, 70)])
    due = sine(1.8)
    assert np.abs(heard[480:23_990] - due[480:23_990]).max() < 0.02
    assert np.abs(heard[26_500:33_500]).max() == 0
    # It begins at the first sample that is due, which is half of one late on average.
    assert np.abs(heard[34_100:86_400] - due[34_100:]).max() < 0.07
    # No click: nothing leaps more than a fade does.
    assert np.abs(np.diff(heard)).max() < 0.25


def test_a_small_change_of_the_delay_is_made_up_for_unheard(viewer_page: Page) -> None:
    heard = played(viewer_page, missing=[], delay=40.0, then=46.0)
    # Never more than half a percent slower: a period of 96 samples takes 96.5 at most.
    crossings = np.flatnonzero((heard[480:86_000] < 0) & (heard[481:86_001] >= 0))
    assert np.diff(crossings).max() <= 97
    assert np.abs(np.diff(heard)).max() < 0.05
    # And in the end it is later by most of it.
    late = np.argmax([heard[80_000 + shift] for shift in range(288 + 96)]) % 96
    assert 0 < late < 96


def test_sound_that_is_later_than_its_picture_stays_where_it_is(viewer_page: Page) -> None:
    heard = played(viewer_page, missing=[], takes=120.0)
    later = played(viewer_page, missing=[], takes=120.0, then=60.0)
    assert np.abs(heard[4800:86_400]).max() > 0.4
    assert np.abs(heard - later).max() < 1e-6


def test_a_picture_waits_for_its_sound_for_a_while(viewer_page: Page) -> None:
    until = viewer_page.evaluate(
        """async () => {
          const {heldUntil} = await import("/synchrony.js");
          return [[1060, 1000], [5000, 1000], [900, 1000]].map((each) => heldUntil(...each));
        }"""
    )
    assert until == [1060, 1100, 900]


def test_an_output_that_runs_dry_gets_a_larger_store_once(viewer_page: Page) -> None:
    hints = viewer_page.evaluate(
        """async () => {
          const {Sound} = await import("/sound.js");
          const sound = new Sound(new URL(location.href), () => {}, () => true);
          const hints = [];
          const begun = async () => {};
          sound.begin = () => {
            hints.push(sound.hint);
            return begun();
          };
          const stats = {underrunEvents: 0};
          sound.context = {playbackStats: stats, resume: begun, suspend: begun};
          // Ten seconds between two looks: what was dry before the first one does not count.
          return [7, 9, 12, 99].map((events) => {
            stats.underrunEvents = events;
            sound.output.at -= 10_000;
            sound.look();
            return hints.length;
          });
        }"""
    )
    assert hints == [0, 0, 1, 1]


#: Says whether the pictures of the last seconds came with their sound.
TOGETHER = "Math.abs(window.soundFigures.picture_ms - window.soundFigures.needs_ms) < 25"


def test_a_watchers_pictures_come_with_their_sound(viewer_page: Page) -> None:
    page = viewer_page
    page.locator("#sound").click()
    wait_until(page, f"window.soundFigures?.needs_ms > 0 && {TOGETHER}")
    # All of them are shown still, or newer ones in their place.
    before = page.evaluate("window.shownNumbers.at(-1)")
    wait_until(page, f"window.shownNumbers.at(-1) > {before} + 60")
    numbers = page.evaluate("window.shownNumbers")
    assert numbers == sorted(set(numbers))


def test_a_recording_has_the_sound_unless_it_is_muted(tmp_path: Path) -> None:
    args = (
        "p2c2g-capture", "run", "--source=pattern:beep", "--size=320x180", "--ops=upscale:2",
        "--where=here", "--headless", "--seconds=4",
    )  # fmt: skip
    path = tmp_path / "play.mp4"
    done = finish(*args, f"--record={path}")
    assert done.code == 0, done
    begin, heard = heard_in(path)
    white = np.array(flashes_in(path))
    # By when it flashes and not by the second: a machine that stands still flashes later.
    found = [at for at in onsets(heard) if np.abs(white - begin - at).min() < 0.2]
    assert len(found) >= 2
    parts = tone_parts(heard)
    starts = (round((at + 0.02) * 100) for at in found)
    assert any(parts[at : at + 6].min() > 0.9 for at in starts if at + 6 <= len(parts))

    done = finish(*args, f"--record={path}", "--mute")
    assert done.code == 0, done
    with pytest.raises(IndexError):
        heard_in(path)


def test_a_device_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    done = finish(
        "p2c2g-capture", "run", "--source=pattern", "--audio=nose", "--port=0", PULSE_SERVER="none"
    )
    assert done.code in (1, 2)
    assert "Traceback" not in done.errors
    assert len(done.errors.strip().splitlines()) == 1
