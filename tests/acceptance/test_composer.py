"""The browser's own composition, in a real browser, against the session's."""

from __future__ import annotations

import base64
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, Route

from p2c2g.display.terms import terms
from p2c2g.media.base import base
from p2c2g.media.cells import cell_of
from p2c2g.media.chunker import Grid, plan_chunks
from p2c2g.media.codecs import codec
from p2c2g.media.composition import Composition
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form, Residual
from tests.hard_pictures import picture

pytestmark = pytest.mark.needs("chromium")

#: How far the two may be apart, in levels: on average, and anywhere.
MEAN, MOST = 1.0, 3

#: Composes one frame and gives the base's and the picture's bytes.
COMPOSE = """async ({terms, source, residuals, divider}) => {
  const { Composer } = await import("/composer.js");
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const decoded = async ([type, text]) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return createImageBitmap(new Blob([bytes], { type }), options);
  };
  const encoded = (bytes) => {
    let text = "";
    for (let at = 0; at < bytes.length; at += 4096) {
      text += String.fromCharCode(...bytes.subarray(at, at + 4096));
    }
    return btoa(text);
  };
  const canvas = document.createElement("canvas");
  const composer = Composer.create(canvas, { software: true });
  composer.configure(terms);
  const frame = await decoded(source);
  let began = 0;
  for (let turn = 0; turn < 2; turn += 1) {
    began = performance.now();
    composer.begin();
    composer.source(frame);
    // In the first turn all of them, to see that a frame leaves nothing behind for the next.
    for (const { picture, target } of turn ? residuals : [...residuals, ...residuals.slice(-1)]) {
      if (!picture) continue;
      const low = await decoded(picture);
      const [, , width, height] = target;
      const high = low.height > height && await createImageBitmap(low, 0, height, width, height);
      composer.residual(target, low, high);
    }
    composer.compose();
  }
  const [base, sum] = [composer.read("base"), composer.read("picture")];
  const took = performance.now() - began;
  composer.show(divider);
  const seen = new Uint8Array(4 * canvas.width * canvas.height);
  const { gl } = composer;
  gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, seen);
  const found = { base: encoded(base), sum: encoded(sum), seen: encoded(seen), took };
  composer.free();
  return found;
}"""


@pytest.fixture
def blank(page: Page) -> Page:
    """A page that has the viewer's modules beside it and does nothing."""

    def answer(route: Route) -> None:
        name = route.request.url.rsplit("/", 1)[-1]
        if not name:
            route.fulfill(body="<!doctype html><title>blank</title>", content_type="text/html")
            return
        text = files("p2c2g.display").joinpath("static", name).read_text("utf-8")
        route.fulfill(body=text, content_type="text/javascript")

    page.route("http://composer.test/**", answer)
    page.goto("http://composer.test/")
    return page


def residual_of(output: Size, cell: Size, seed: int, strength: float) -> Residual:
    noise = np.random.default_rng(seed).normal(0, strength, (output.height, output.width))
    return np.rint(noise).astype(np.int16)[:, :, None]


def pixels_of(text: str, size: Size) -> Pixels:
    flat = np.frombuffer(base64.b64decode(text), np.uint8)
    return flat.reshape(size.height, size.width, 4)[:, :, 2::-1]


def packed(kind: str, data: bytes) -> list[str]:
    return [kind, base64.b64encode(data).decode()]


def composed(
    page: Page, text: str, size: Size, form: Form, kind: str, strength: float
) -> tuple[dict[str, Pixels], dict[str, Pixels]]:
    """Return base and picture as the browser makes them, and as the session does."""
    plan = Pipeline.parse(text).resolve(size)
    frame = picture(size, 7, kind)
    cell = cell_of(plan.scale_x, plan.scale_y)
    under = base(frame, plan.scale_x, plan.scale_y, plan.output)
    residual = residual_of(plan.output, cell, 11, strength)
    sent: list[dict[str, Any]] = []
    arrived = []
    media_type = codec(form.codec).media_type
    for chunk in plan_chunks(plan, Grid(2, 2)):
        target = [chunk.target.x, chunk.target.y, chunk.target.width, chunk.target.height]
        if chunk.index == 2:  # which did not come
            sent.append({"picture": None, "target": target})
            continue
        part: Any = chunk.target.of(residual)  # type: ignore[arg-type]
        data = form.encode(np.ascontiguousarray(part))
        arrived.append((chunk.target, form.decode(data, chunk.target.size)))
        sent.append({"picture": packed(media_type, data), "target": target})
    found = page.evaluate(
        COMPOSE,
        {
            "terms": terms(size, plan.output, plan.scale_x, plan.scale_y, form.gain),
            "source": packed("image/png", codec("png").encode(frame, 100)),
            "residuals": sent,
            "divider": 0.25,
        },
    )
    session = Composition.of(plan.scale_x, plan.scale_y).frame(under, arrived)
    here = {name: pixels_of(found[name], plan.output) for name in ("base", "sum", "seen")}
    here["seen"] = here["seen"][::-1]
    seen = session.copy()
    edge = int(0.25 * plan.output.width + 0.5)
    seen[:, :edge] = under[:, :edge]
    return here, {"base": under, "sum": session, "seen": seen}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("upscale:2", "hard"),
        ("upscale:2", "noise"),
        ("upscale:3", "hard"),
        ("upscale:3/2", "noise"),
        ("upscale:4/3", "hard"),
        ("upscale:16/9", "noise"),
        ("upscale:1/2", "noise"),
        ("resize:192x70", "hard"),
        ("sharpen:1", "noise"),
    ],
)
def test_without_loss_both_make_the_same_picture(blank: Page, text: str, kind: str) -> None:
    found, due = composed(blank, text, Size(96, 60), Form("png", 100), kind, 40)
    for name, picture_ in due.items():
        assert cv2.absdiff(found[name], picture_).max() == 0, name


def test_what_does_not_fit_in_a_byte_arrives_too(blank: Page) -> None:
    found, due = composed(blank, "upscale:2", Size(96, 60), Form("png", 100), "hard", 200)
    assert cv2.absdiff(found["sum"], due["sum"]).max() == 0


@pytest.mark.parametrize(
    "form", [Form("jpeg", 60), Form("jpeg", 60, 3), Form("webp", 60), Form("avif", 60)]
)
def test_through_a_codec_they_are_near(blank: Page, form: Form) -> None:
    found, due = composed(blank, "upscale:2", Size(160, 96), form, "soft", 12)
    off = cv2.absdiff(found["sum"], due["sum"])
    assert off.mean() <= MEAN
    assert off.max() <= MOST


def test_software_is_left_to_the_session(blank: Page) -> None:
    """Here it is software: the browser of the tests has no card."""
    assert blank.evaluate(
        """async () => {
          const { Composer } = await import("/composer.js");
          return Composer.create(document.createElement("canvas")) === null;
        }"""
    )
