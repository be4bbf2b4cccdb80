"""A page that plays, and notes when what was pressed is on its canvas."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from p2c2g.errors import UnavailableError
from p2c2g.system import processes

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
#: Seconds that anything is waited for.
PATIENCE = 60.0
#: Seconds between two presses: at random, so that no tick is always met.
_PAUSE = (0.15, 0.35)

#: Notes each press, and after each picture whether the canvas has changed.
_WATCH = """
window.presses = [];
window.waits = null;
window.addEventListener("keydown", (event) => {
  if (!window.armed || event.repeat) return;
  window.armed = false;
  window.presses.push({at: event.timeStamp, epoch: performance.timeOrigin + event.timeStamp});
}, true);
const context = new OffscreenCanvas(64, 36).getContext("2d", {willReadFrequently: true});
window.look = () => {
  const screen = document.querySelector(".picture canvas:not([hidden])");
  context.drawImage(screen, 0, 0, 64, 36);
  return context.getImageData(0, 0, 64, 36).data;
};
let before = 0;
window.addEventListener("p2c2g:shown", ({detail}) => {
  const grabbed = performance.now() - detail.age_ms;
  const apart = grabbed - before;
  before = grabbed;
  const press = window.presses.at(-1);
  if (!window.waits || window.armed || !press || press.shown) return;
  if (!window.waits(window.look())) return;
  press.shown = performance.now() - press.at;
  press.age = detail.age_ms;
  press.apart = apart;
});
window.arm = (part) => {
  const before = window.look();
  const mean = (data) => {
    let total = 0, count = 0;
    for (let y = part[1]; y < part[1] + part[3]; y += 1) {
      for (let x = part[0]; x < part[0] + part[2]; x += 1) {
        const at = 4 * (y * 64 + x);
        total += Math.abs(data[at] - before[at]) + Math.abs(data[at + 1] - before[at + 1]);
        count += 2;
      }
    }
    return total / count;
  };
  window.waits = (data) => mean(data) > part[4];
  window.armed = true;
};
"""


class Browser:
    """A page that plays."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def press(self, key: str, watched: Sequence[float]) -> None:
        """Press a key and let it go; what is watched is left, top, width, height of 64 by 36,
        and how much it has to change."""
        time.sleep(random.uniform(*_PAUSE))
        self.page.evaluate("(part) => window.arm(part)", list(watched))
        self.page.keyboard.down(key)
        time.sleep(0.03)
        self.page.keyboard.up(key)

    def wait(self, condition: str) -> None:
        """Wait until a condition of JavaScript holds."""
        self.page.wait_for_function(condition, timeout=PATIENCE * 1e3)

    def presses(self) -> list[dict[str, float]]:
        """Return each press, in milliseconds."""
        found: list[dict[str, float]] = self.page.evaluate("window.presses")
        return found


@contextmanager
def browser() -> Iterator[Callable[[str], Browser]]:
    """Start a browser; give what opens a page of it and takes the controls.

    Raises:
        UnavailableError: there is none.
    """
    program = processes.find("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UnavailableError(
            f'A browser needs {error.name}: pip install "p2c2g[bench]".'
        ) from error
    if program is None:
        raise UnavailableError("There is no browser: apt-get install chromium.")
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=program, args=_FLAGS)) as launched,
    ):

        def opened(url: str) -> Browser:
            # Its policy forbids what waits for conditions.
            context = launched.new_context(viewport={"width": 1280, "height": 720}, bypass_csp=True)
            page = context.new_page()
            page.add_init_script(_WATCH)
            page.goto(url)
            page.wait_for_selector("#overlay", state="hidden")
            page.get_by_role("button", name="With peers", exact=True).or_(
                page.get_by_role("button", name="Enhanced here", exact=True)
            ).click()
            page.get_by_role("button", name="Play", exact=True).click()
            page.wait_for_selector("body[data-playing]")
            return Browser(page)

        yield opened
