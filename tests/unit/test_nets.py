"""Which weights are here: those of gamers' own come and go."""

from __future__ import annotations

import subprocess
import sys

import pytest

from p2c2g.errors import ProcessorError
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline, Step
from p2c2g_workers import fetching, nets
from p2c2g_workers.processors import network
from tests.nets import model

pytestmark = pytest.mark.skipif(network.MISSING, reason="needs onnx: pip install 'p2c2g[ml]'")


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> nets.Held:
    """Hold nothing but what this test holds."""
    mine = nets.Held(most=3)
    monkeypatch.setattr(nets, "_held", mine)
    return mine


def step(method: str, *names: str) -> Step:
    text = f"upscale:2:{method}" + (f"@{'+'.join(names)}" if names else "")
    return Pipeline.parse(text).resolve(Size(8, 8)).steps[0]


def own(seed: int, method: str = "ml-tiny") -> nets.Weights:
    return nets.read(model(method, seed))


def test_weights_are_found_by_name_and_size() -> None:
    tiny, small = own(1), own(2, "ml-small")
    nets.hold(tiny)
    nets.hold(small)
    assert nets.find(step("ml-tiny", small.name, tiny.name)) is tiny
    assert nets.find(step("ml-small", tiny.name, small.name)) is small
    assert not nets.has(step("ml-large", tiny.name, small.name))
    assert not nets.has(step("ml-small", tiny.name))


def test_the_least_recently_used_make_room(held: nets.Held) -> None:
    first, second, third, fourth = (own(seed) for seed in range(4))
    for each in (first, second, third):
        nets.hold(each)
    nets.find(step("ml-tiny", first.name))
    nets.hold(fourth)
    assert len(held) == 3
    assert nets.has(step("ml-tiny", first.name))
    assert not nets.has(step("ml-tiny", second.name))


def test_named_weights_are_never_replaced_by_the_package_s() -> None:
    """The result's header says which were used: it has to be true."""
    absent = step("ml-tiny", "0" * 32)
    assert nets.has(step("ml-tiny"))
    assert not nets.has(absent)
    with pytest.raises(ProcessorError, match=f"none of the weights {'0' * 32} of ml-tiny"):
        nets.find(absent)


@pytest.mark.parametrize("method", [None, "bicubic", "ml", "../../etc/passwd"])
def test_what_is_no_net_has_no_weights(method: str | None) -> None:
    one = step("ml-tiny")
    other = Step(one.name, method, one.scale_x, one.scale_y, 0.0, 2)
    assert not nets.has(other)
    with pytest.raises(ProcessorError, match="no weights of"):
        nets.find(other)


def test_only_what_is_not_here_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(fetching, "want", lambda names: asked.append(list(names)))
    here = own(1)
    nets.hold(here)
    nets.want((here.name,))
    nets.want(())
    assert asked == []
    nets.want((here.name, "0" * 32))
    assert asked == [["0" * 32]]


def test_nothing_is_loaded_for_weights_before_somebody_uses_them() -> None:
    code = """
import sys
from p2c2g_workers import nets, tasks
nets.want(())
print(sorted({"onnx", "onnxruntime", "p2c2g_workers.fetching"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
