"""JPEG on a card: the library is a stand-in with its interface, in front of our own codec."""

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
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.cpu import CpuEngine

if find_spec("torch") is None and os.environ.get("CI", "").lower() != "true":
    pytest.skip("needs PyTorch: pip install 'p2c2g[cuda]'", allow_module_level=True)

import torch

from p2c2g_workers.gpu.codec import JpegOnDevice, on_device
from p2c2g_workers.gpu.engine import TorchEngine
from p2c2g_workers.gpu.errors import DeviceError
from tests.unit.test_gpu_ops import picture


class Library:
    """As torchvision's: planes in red, green, blue; 4:4:4; a damaged picture fails its batch."""

    def __init__(self) -> None:
        self.decoded: list[int] = []
        self.encoded: list[int] = []
        self.broken = False

    def decode(self, data: list[torch.Tensor]) -> list[torch.Tensor]:
        self.decoded.append(len(data))
        try:
            rgb = [simplejpeg.decode_jpeg(one.numpy().tobytes(), "RGB") for one in data]
        except ValueError as error:
            raise RuntimeError(f"Error while decoding JPEG images: {error}") from error
        return [torch.from_numpy(one).permute(2, 0, 1).contiguous() for one in rgb]

    def encode(self, planes: list[torch.Tensor], quality: int) -> list[torch.Tensor]:
        self.encoded.append(len(planes))
        if self.broken:
            raise RuntimeError("image encoding failed: 6")
        assert all(one.is_contiguous() and one.shape[0] == 3 for one in planes)
        whole = [np.ascontiguousarray(one.permute(1, 2, 0).numpy()) for one in planes]
        done = [simplejpeg.encode_jpeg(one, quality, "RGB", "444") for one in whole]
        return [torch.frombuffer(bytearray(one), dtype=torch.uint8) for one in done]


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def jpeg(library: Library) -> JpegOnDevice:
    return JpegOnDevice(library.decode, library.encode)


@pytest.fixture
def engine(jpeg: JpegOnDevice) -> Iterator[TorchEngine]:
    engine = TorchEngine("cpu", jpeg=jpeg)
    yield engine
    engine.close()


def work(text: str, how: str = "jpeg") -> Work:
    size = Size(48, 40)
    plan = Pipeline.parse(text).resolve(size)
    payload = codec(how).encode(picture(size, 1, "soft"), 90)
    return Work(plan, how, 90, payload, size, Rect(2, 2, 30, 20))


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


def test_what_it_encodes_our_codec_reads(jpeg: JpegOnDevice) -> None:
    pixels = picture(Size(37, 21), 2, "soft")
    (done,) = jpeg.encode([torch.from_numpy(pixels)], 95)
    np.testing.assert_allclose(codec("jpeg").decode(done), pixels, atol=12)
    assert simplejpeg.decode_jpeg_header(done)[3] == "444"


def test_the_engine_decodes_and_encodes_on_the_card(engine: TorchEngine, library: Library) -> None:
    assert engine.codec_on_device
    given = work("upscale:2,sharpen:0.3")
    found = codec("jpeg").decode(engine.enhance(given).payload)
    due = codec("jpeg").decode(CpuEngine().enhance(given).payload)
    assert found.shape == due.shape == (20, 30, 3)
    assert np.abs(found.astype(int) - due).mean() < 3
    assert (library.decoded, library.encoded) == ([1], [1])


def test_another_codec_stays_with_the_cpu(engine: TorchEngine, library: Library) -> None:
    given = work("upscale:2", "raw")
    assert engine.enhance(given).payload == CpuEngine().enhance(given).payload
    assert not library.decoded + library.encoded


def test_what_the_card_refuses_to_decode_the_cpu_reads(
    monkeypatch: pytest.MonkeyPatch, jpeg: JpegOnDevice
) -> None:
    def refuse(_data: list[torch.Tensor]) -> list[torch.Tensor]:
        raise RuntimeError("nvjpegDecode failed: 4")

    monkeypatch.setattr(jpeg, "_decode", refuse)
    engine = TorchEngine("cpu", jpeg=jpeg)
    given = work("upscale:2")
    assert engine.enhance(given).payload
    with pytest.raises(CodecError):
        engine.enhance(replace(given, payload=given.payload[:300]))
    engine.close()


def test_a_picture_of_another_size_than_its_header_states_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, jpeg: JpegOnDevice
) -> None:
    """Two readers may see two sizes in one stream that somebody forged: ours counts."""
    monkeypatch.setattr(
        jpeg, "_decode", lambda data: [torch.zeros(3, 9, 9, dtype=torch.uint8) for _ in data]
    )
    engine = TorchEngine("cpu", jpeg=jpeg)
    given = work("pass")
    found = codec("jpeg").decode(engine.enhance(given).payload)
    assert np.abs(found.astype(int) - given.crop.of(picture(Size(48, 40), 1, "soft"))).mean() < 6
    engine.close()


def test_a_card_that_cannot_encode_says_so(engine: TorchEngine, library: Library) -> None:
    library.broken = True
    with pytest.raises(DeviceError, match="image encoding failed"):
        engine.enhance(work("upscale:2"))


def test_only_cuda_has_one_and_it_can_be_left_out(jpeg: JpegOnDevice) -> None:
    assert on_device(torch.device("cpu")) is None
    engine = TorchEngine("cpu", jpeg=jpeg, jpeg_on_device=False)
    assert not engine.codec_on_device
    engine.close()
