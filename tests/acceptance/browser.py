"""A real browser, and how tests read what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from p2c2g.system.processes import find

#: Milliseconds for what is waited for: enough for a busy machine; well ones take none of it.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP play.test 127.0.0.1",
]

#: Reads every stamp from the canvas that is seen at the moment at which a frame is shown.
READER = """(layout) => {
  window.seen = [];
  const crc = (number) => {
    let check = 0;
    for (const shift of [16, 8, 0]) {
      check ^= (number >> shift) & 255;
      for (let bit = 0; bit < 8; bit += 1) {
        check = check & 128 ? ((check << 1) ^ 7) & 255 : check << 1;
      }
    }
    return check ^ 0x55;
  };
  const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const look = () => {
    const screen = document.querySelector(".picture canvas:not([hidden])");
    context.canvas.width = screen.width;
    context.canvas.height = screen.height;
    context.drawImage(screen, 0, 0);
  };
  const read = ({cell, bits}) => {
    const {data} = context.getImageData(cell.x, cell.y, cell.width, cell.height);
    let code = 0;
    for (const bit of bits) {
      let total = 0;
      for (let y = bit.y - cell.y; y < bit.y - cell.y + bit.height; y += 1) {
        for (let x = bit.x - cell.x; x < bit.x - cell.x + bit.width; x += 1) {
          const at = 4 * (y * cell.width + x);
          total += (data[at] + data[at + 1] + data[at + 2]) / 3;
        }
      }
      const mean = total / (bit.width * bit.height);
      if (mean > 96 && mean < 160) return null;
      code = code * 2 + (mean >= 160 ? 1 : 0);
    }
    const number = Math.floor(code / 256);
    return crc(number) === code % 256 ? number : null;
  };
  window.addEventListener("p2c2g:shown", ({detail}) => {
    if (layout.length) look();
    window.seen.push({...detail, stamps: layout.map(read)});
  });
}"""


def wait_until(page: Page, condition: str) -> None:
    """Wait until a JavaScript condition holds; pytest's own timeout is the limit.

    Playwright's ``wait_for_function`` needs ``eval``, which the page's policy forbids.
    """
    page.evaluate(f"""() => new Promise((resolve) => {{
      const look = () => (({condition}) ? resolve() : requestAnimationFrame(look));
      look();
    }})""")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find("chromium")
    with (
        sync_playwright() as playwright,
        closing(
            playwright.chromium.launch(executable_path=program, args=FLAGS, timeout=PATIENCE)
        ) as launched,
    ):
        yield launched


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh profile; a test fails where its page throws or breaks its own policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "console",
        lambda message: (
            problems.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    yield opened
    context.close()
    assert not problems, "; ".join(problems)
