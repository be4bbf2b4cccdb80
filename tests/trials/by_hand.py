"""A person before the viewer: sees the canvas, presses keys in the page, and hears what it plays.

Nothing of the game or of the session is asked; all goes through the browser.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, expect, sync_playwright

from p2c2g.system.processes import find
from tests.acceptance.browser import FLAGS

Grey = NDArray[np.uint8]

#: What is seen at a glance, and samples a second of what is heard.
WIDTH, HEIGHT, RATE = 320, 180, 48_000
#: Hertz: rumble, voices and tones, effects, hiss.
BANDS = ((20, 200), (200, 1000), (1000, 4000), (4000, 16_000))

#: Before the page's own scripts: an eye on the canvas, and a recorder beside the loudspeaker.
SENSES = (
    f"const WIDTH = {WIDTH}, HEIGHT = {HEIGHT};"
    """
const eye = new OffscreenCanvas(WIDTH, HEIGHT).getContext("2d", {willReadFrequently: true});
window.glance = () => {
  eye.drawImage(document.querySelector(".picture canvas:not([hidden])"), 0, 0, WIDTH, HEIGHT);
  const {data} = eye.getImageData(0, 0, WIDTH, HEIGHT);
  let grey = "";
  for (let at = 0; at < data.length; at += 4) {
    grey += String.fromCharCode((data[at] + 2 * data[at + 1] + data[at + 2]) >> 2);
  }
  return btoa(grey);
};
const connect = AudioNode.prototype.connect;
const tapes = [];
AudioNode.prototype.connect = function (to, ...rest) {
  // The page may begin anew with another context: each has its own tape.
  if (to instanceof AudioDestinationNode && !tapes.some(({context}) => context === this.context)) {
    const out = this.context.createMediaStreamDestination();
    connect.call(this, out);
    const recorder = new MediaRecorder(out.stream, {mimeType: "audio/webm;codecs=opus"});
    const parts = [];
    recorder.ondataavailable = ({data}) => parts.push(data);
    recorder.start(1000);
    tapes.push({context: this.context, recorder, parts});
  }
  return connect.call(this, to, ...rest);
};
window.recorded = () => Promise.all(tapes.map(async ({recorder, parts}) => {
  if (recorder.state !== "inactive") {
    const stopped = new Promise((done) => { recorder.onstop = done; });
    recorder.stop();
    await stopped;
  }
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}));
"""
)


class Gamer:
    """Eyes, ears and hands on one page."""

    def __init__(self, page: Page, folder: Path, name: str) -> None:
        self._page = page
        self._folder = folder
        self._name = name
        self._held: set[str] = set()

    def glance(self) -> Grey:
        """Return what the canvas shows, (HEIGHT, WIDTH) greys."""
        data = base64.b64decode(self._page.evaluate("window.glance()"))
        return np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH)

    def hold(self, *keys: str) -> None:
        """Hold these keys, and no others."""
        for key in self._held - set(keys):
            self._page.keyboard.up(key)
        for key in set(keys) - self._held:
            self._page.keyboard.down(key)
        self._held = set(keys)

    def press(self, key: str, seconds: float = 0.06) -> None:
        """Press a key for a while, beside what is held."""
        self._page.keyboard.down(key)
        sleep(seconds)
        self._page.keyboard.up(key)

    def point(self, x: float, y: float) -> None:
        """Move the pointer to a part of the picture."""
        box = self._page.locator("#picture").bounding_box()
        assert box is not None
        self._page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])

    def click(self, x: float, y: float) -> None:
        """Click a part of the picture."""
        self.point(x, y)
        sleep(0.15)
        self._page.mouse.down()
        sleep(0.12)
        self._page.mouse.up()

    def photograph(self, when: str) -> None:
        """Keep the page as it looks now."""
        self._page.screenshot(path=self._folder / f"{self._name}-{when}.png")

    def heard(self) -> Heard:
        """End the recording, keep it, and return what was heard."""
        tapes = [base64.b64decode(each) for each in self._page.evaluate("window.recorded()")]
        for number, tape in enumerate(tapes):
            (self._folder / f"{self._name}-{number}.webm").write_bytes(tape)
        heard = Heard.of(tapes)
        cv2.imwrite(str(self._folder / f"{self._name}-sound.png"), heard.drawn())
        return heard


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard: samples from -1 to 1 of one channel, at :data:`RATE`."""

    samples: NDArray[np.float32]

    @classmethod
    def of(cls, tapes: Sequence[bytes]) -> Heard:
        """Read recordings, one after the other."""
        resampler = av.AudioResampler("flt", "mono", RATE)
        parts: list[Any] = []
        for tape in filter(None, tapes):
            with av.open(io.BytesIO(tape)) as container:
                for frame in container.decode(audio=0):
                    frame.pts = None
                    parts += [each.to_ndarray()[0] for each in resampler.resample(frame)]
        return cls(np.concatenate(parts) if parts else np.zeros(0, np.float32))

    @property
    def seconds(self) -> float:
        """Return how long it is."""
        return len(self.samples) / RATE

    def loud(self, level: float = 0.003) -> float:
        """Return the part of its tenths of a second that are no silence."""
        step = RATE // 10
        whole = self.samples[: len(self.samples) // step * step].reshape(-1, step)
        return float((np.sqrt((whole**2).mean(axis=1)) > level).mean()) if len(whole) else 0.0

    def spectrum(self) -> NDArray[np.float64]:
        """Return its power by time and frequency: (windows, 1025), of 2048 samples each."""
        step = 2048
        whole = self.samples[: len(self.samples) // step * step].reshape(-1, step)
        return np.abs(np.fft.rfft(whole * np.hanning(step), axis=1)) ** 2

    def bands(self) -> tuple[float, ...]:
        """Return which part of its power lies in each of :data:`BANDS`."""
        power = self.spectrum().sum(axis=0)
        hertz = np.fft.rfftfreq(2048, 1 / RATE)
        parts = [float(power[(hertz >= low) & (hertz < high)].sum()) for low, high in BANDS]
        return tuple(round(each / max(sum(parts), 1e-12), 3) for each in parts)

    def drawn(self) -> Grey:
        """Return a picture of its spectrum: time to the right, 0 to 12 kHz upwards."""
        power = 10 * np.log10(self.spectrum()[:, :512].T[::-1] + 1e-9)
        levels = np.clip((power + 50) * 255 / 90, 0, 255).astype(np.uint8)
        return np.asarray(cv2.resize(levels, (1200, 400), interpolation=cv2.INTER_AREA), np.uint8)


def apart(one: Grey, other: Grey) -> float:
    """Return by how many levels two pictures differ, on average."""
    return float(np.abs(one.astype(np.int16) - other).mean())


@contextmanager
def gamer_at(url: str, folder: Path, name: str) -> Iterator[Gamer]:
    """Open the address by which one plays; take the controls, and turn the sound on."""
    flags = [*FLAGS, "--autoplay-policy=no-user-gesture-required"]
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=find("chromium"), args=flags)) as chrome,
    ):
        page = chrome.new_page(viewport={"width": 1280, "height": 720})
        page.add_init_script(SENSES)
        page.goto(url)
        expect(page.locator("#overlay")).to_be_hidden()
        page.get_by_role("button", name="Enhanced here", exact=True).click()
        page.locator("#sound").click()
        # What is over the picture hides parts of a game.
        page.keyboard.press("i")
        page.get_by_role("button", name="Play", exact=True).click()
        expect(page.locator("body")).to_have_attribute("data-playing", "")
        gamer = Gamer(page, folder, name)
        try:
            yield gamer
        finally:
            gamer.hold()
