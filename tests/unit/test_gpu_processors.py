"""A card's operations in the registry's form."""

from __future__ import annotations

import os
from importlib.util import find_spec

import numpy as np
import pytest

from p2c2g.errors import ProcessorError, UsageError
from p2c2g.media.frame import Size
from p2c2g.media.operations import METHODS, Pipeline
from p2c2g_workers import nets
from p2c2g_workers.processors import run

if find_spec("torch") is None and os.environ.get("CI", "").lower() != "true":
    pytest.skip("needs PyTorch: pip install 'p2c2g[cuda]'", allow_module_level=True)

from p2c2g_workers.gpu.processors import registry
from tests.unit.test_gpu_ops import picture


def test_it_has_all_operations() -> None:
    known = registry("cpu").known()
    assert {f"{name}:{method}" for name in ("upscale", "resize") for method in METHODS} <= {*known}
    assert {"sharpen", "denoise", "pass"} <= {*known}
    assert ("upscale:ml-large" in known) is not nets.MISSING


def test_a_pipeline_gives_the_cpus_pixels() -> None:
    pixels = picture(Size(40, 31), 1, "noise")
    plan = Pipeline.parse("denoise:0.5,upscale:2,sharpen:0.5").resolve(Size(40, 31))
    np.testing.assert_array_equal(registry("cpu").run(plan, pixels), run(plan, pixels))


@pytest.mark.skipif(nets.MISSING, reason="needs onnx: pip install 'p2c2g[ml]'")
def test_a_net_whose_weights_are_not_here_is_refused() -> None:
    plan = Pipeline.parse(f"upscale:2:ml-tiny@{'0' * 32}").resolve(Size(8, 8))
    with pytest.raises(ProcessorError, match="none of the weights"):
        registry("cpu").processor(plan.steps[0])


def test_a_device_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="give cuda:0, mps or cpu"):
        registry("teapot")
