"""Decoding JPEG on a card: the library is a stand-in with its interface, in front of our codec."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import simplejpeg

from p2c2g.errors import CodecError
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Rect, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form, Residual
from p2c2g_workers.engine import Engine, Work
from p2c2g_workers.engine.cpu import CpuEngine

if find_spec("torch") is None and os.environ.get("CI", "").lower() != "true":
    pytest.skip("needs PyTorch: pip install 'p2c2g[cuda]'", allow_module_level=True)

import torch

from p2c2g_workers.gpu.codec import JpegOnDevice, on_device
from p2c2g_workers.gpu.engine import TorchEngine
from tests.forged_pictures import scan_bomb
from tests.unit.test_gpu_ops import picture


class Library:
    """As torchvision's: red, green, blue, or luma; a damaged picture fails its batch."""

    def __init__(self) -> None:
        self.decoded: list[int] = []

    def decode(self, data: list[torch.Tensor], of_luma: bool) -> list[torch.Tensor]:
        self.decoded.append(len(data))
        try:
            rgb = [
                simplejpeg.decode_jpeg(
                    one.numpy().tobytes(),
                    "GRAY" if of_luma else "RGB",
                    fastdct=False,
                    fastupsample=True,
                )
                for one in data
            ]
        except ValueError as error:
            raise RuntimeError(f"Error while decoding JPEG images: {error}") from error
        return [torch.from_numpy(one).permute(2, 0, 1).contiguous() for one in rgb]


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def jpeg(library: Library) -> JpegOnDevice:
    return JpegOnDevice(library.decode)


@pytest.fixture
def engine(jpeg: JpegOnDevice) -> Iterator[TorchEngine]:
    engine = TorchEngine("cpu", jpeg=jpeg)
    yield engine
    engine.close()


def work(text: str, how: str = "jpeg") -> Work:
    size = Size(48, 40)
    plan = Pipeline.parse(text).resolve(size)
    payload = codec(how).encode(picture(size, 1, "noise"), 90)
    return Work(plan, how, payload, size, Rect(2, 2, 30, 20), Form("jpeg", 90))


def residual(engine: Engine, given: Work) -> Residual:
    return given.form.decode(engine.enhance(given).payload, given.crop.size)


def test_a_batch_is_decoded_in_blue_green_red(library: Library, jpeg: JpegOnDevice) -> None:
    red = np.zeros((16, 24, 3), np.uint8)
    red[..., 2] = 200
    payloads = [codec("jpeg").encode(red, 95), codec("jpeg").encode(255 - red, 95)]
    one, other = jpeg.decode(payloads)
    assert one is not None
    assert other is not None
    assert library.decoded == [2]
    np.testing.assert_allclose(one.numpy(), red, atol=4)
    np.testing.assert_allclose(other.numpy(), 255 - red, atol=4)


def test_one_damaged_picture_does_not_fail_the_others(library: Library, jpeg: JpegOnDevice) -> None:
    good = codec("jpeg").encode(np.full((8, 8, 3), 90, np.uint8), 90)
    first, bad, last = jpeg.decode([good, good[:20], good])
    assert bad is None
    assert first is not None
    assert last is not None
    assert library.decoded == [3, 1, 1, 1]


@pytest.mark.parametrize("form", [Form("jpeg", 90), Form("raw", 90, in_colour=True)], ids=str)
@pytest.mark.parametrize("text", ["upscale:2:bicubic,sharpen:0.3", "denoise:1,upscale:2"])
def test_the_engine_decodes_on_the_card_and_encodes_by_the_processor(
    engine: TorchEngine, library: Library, text: str, form: Form
) -> None:
    assert engine.codec_on_device
    given = replace(work(text), form=form)
    due = residual(CpuEngine(), given)
    assert np.abs(due).mean() > 1
    # The library's planes are libjpeg's, so there is nothing between the two.
    assert engine.enhance(given).payload == CpuEngine().enhance(given).payload
    assert library.decoded == [1]


def test_another_codec_stays_with_the_cpu(engine: TorchEngine, library: Library) -> None:
    given = work("upscale:2:bicubic", "raw")
    assert engine.enhance(given).payload == CpuEngine().enhance(given).payload
    assert not library.decoded


def test_what_the_card_refuses_to_decode_the_cpu_reads(
    monkeypatch: pytest.MonkeyPatch, jpeg: JpegOnDevice
) -> None:
    def refuse(_data: list[torch.Tensor], _of_luma: bool) -> list[torch.Tensor]:
        raise RuntimeError("nvjpegDecode failed: 4")

    monkeypatch.setattr(jpeg, "_decode", refuse)
    engine = TorchEngine("cpu", jpeg=jpeg)
    given = work("upscale:2:bicubic")
    assert engine.enhance(given).payload == CpuEngine().enhance(given).payload
    with pytest.raises(CodecError):
        engine.enhance(replace(given, payload=given.payload[:300]))
    engine.close()


def test_a_picture_of_another_size_than_its_header_states_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, jpeg: JpegOnDevice
) -> None:
    """Two readers may see two sizes in one stream that somebody forged: ours counts."""
    monkeypatch.setattr(
        jpeg,
        "_decode",
        lambda data, _of_luma: [torch.zeros(3, 9, 9, dtype=torch.uint8) for _ in data],
    )
    engine = TorchEngine("cpu", jpeg=jpeg)
    given = work("sharpen:1")
    assert engine.enhance(given).payload == CpuEngine().enhance(given).payload
    engine.close()


def test_only_cuda_has_one_and_it_can_be_left_out(jpeg: JpegOnDevice) -> None:
    assert on_device(torch.device("cpu")) is None
    engine = TorchEngine("cpu", jpeg=jpeg, jpeg_on_device=False)
    assert not engine.codec_on_device
    engine.close()


def test_a_scan_bomb_reaches_no_decoder(engine: TorchEngine, library: Library) -> None:
    size = Size(48, 40)
    with pytest.raises(CodecError):
        engine.enhance(replace(work("denoise:1"), payload=scan_bomb(size)))
    assert not library.decoded
