"""The probe: what it measures, what it leaves out, and what it remembers."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import thread_time_ns
from types import SimpleNamespace

import cv2
import numpy as np
import platformdirs
import pytest

from p2c2g.media.codecs import CODECS
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Step
from p2c2g.peers.messages import Capabilities, Enrolment, Gpu, parse
from p2c2g.system import cpus
from p2c2g_workers import nets, probe
from p2c2g_workers.engine import Kind, cpu
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.probe import cache, graphics, machine, speeds
from p2c2g_workers.processors import known, network
from p2c2g_workers.processors import registry as processors


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Remember in a folder of this test's own."""
    kept = tmp_path / "kept"
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(kept))
    return kept


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure each thing once: here it is not the figures that count."""
    monkeypatch.setattr(speeds, "BUDGET", 0.0)
    monkeypatch.setattr(speeds, "RUNS", 1)


@pytest.mark.usefixtures("brief")
def test_every_processor_and_codec_is_measured_and_can_be_told() -> None:
    found = probe.capabilities()
    cannot = {f"upscale:{net}" for net in NETWORKS if not nets.is_shipped(net)}
    assert set(found.speeds) == set(known()) - cannot
    assert set(found.codecs) == set(CODECS)
    assert min([*found.speeds.values(), *found.codecs.values()]) > 0
    assert found.memory > 0
    assert found.versions["opencv"] == cv2.__version__
    told = Enrolment(id="a@b", instance="i", capabilities=found)
    assert parse(Enrolment, told.model_dump_json().encode()) == told


@pytest.mark.skipif(network.MISSING, reason="needs onnx: pip install 'p2c2g[ml]'")
def test_a_slower_processor_is_seen_to_be_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    # By what this thread has of the processor: others may have it meanwhile.
    monkeypatch.setattr(cpu, "monotonic_ns", thread_time_ns)
    found = speeds.processors(CpuEngine())
    # Ten times the products.
    assert found["upscale:ml-tiny"] > 2 * found["upscale:ml-large"]


@pytest.mark.usefixtures("brief")
def test_what_does_not_work_is_left_out_with_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_pixels: Pixels, _step: Step) -> Pixels:
        raise MemoryError("no memory on the card")

    monkeypatch.setitem(
        processors.CPU._processors, "upscale:bicubic", processors.Registered(broken)
    )
    # One that the pipeline does not know.
    monkeypatch.setitem(processors.CPU._processors, "dream", processors.Registered(broken))

    def missing(_pixels: Pixels, _quality: int) -> bytes:
        raise OSError("libwebp is not there")

    monkeypatch.setitem(CODECS, "webp", replace(CODECS["webp"], to_bytes=missing))
    caplog.set_level(logging.WARNING)
    found = probe.capabilities(fresh=True)
    assert "upscale:bicubic" not in found.speeds
    assert "dream" not in found.speeds
    assert "sharpen" in found.speeds
    assert "webp" not in found.codecs
    assert "jpeg" in found.codecs
    assert "no memory on the card" in caplog.text
    assert "libwebp is not there" in caplog.text


def test_the_picture_is_no_easy_one_and_always_the_same() -> None:
    picture = speeds.picture()
    assert Size.of(picture) == speeds.SIZE
    assert np.array_equal(picture, speeds.picture())
    assert picture.std() > 30
    # Neighbours are alike, as in a photograph, and not the same.
    steps = np.abs(np.diff(picture.astype(int), axis=1))
    assert 1 < steps.mean() < 20


def test_a_first_run_that_compiled_for_long_does_not_count() -> None:
    told = iter([2 * speeds.SLOW, 0.01])
    assert speeds._best(lambda: next(told)) == 0.01
    assert next(told, None) is None


def test_threads_of_opencv_are_as_before() -> None:
    before = cv2.getNumThreads()
    with speeds._Threads(before + 1):
        assert cv2.getNumThreads() == before + 1
    assert cv2.getNumThreads() == before


# -- what is remembered


def must_not_measure(_engine: object, _stop: object) -> dict[str, float]:
    raise AssertionError("measured, where it is remembered")


@pytest.mark.usefixtures("brief")
def test_it_is_measured_once(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    first = probe.capabilities()
    assert [file.name for file in folder.iterdir()] == ["probe.json"]
    monkeypatch.setattr(speeds, "processors", must_not_measure)
    assert probe.capabilities() == first
    assert probe.quick() == first
    with pytest.raises(AssertionError, match="remembered"):
        probe.capabilities(fresh=True)


@pytest.mark.usefixtures("brief")
def test_an_update_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    probe.capabilities()
    monkeypatch.setattr(cv2, "__version__", "99")
    assert probe.quick().speeds == {}
    assert probe.capabilities().speeds
    assert probe.quick().speeds


def test_quick_measures_nothing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(speeds, "processors", must_not_measure)
    monkeypatch.setattr(speeds, "codecs", must_not_measure)
    found = probe.quick()
    assert found.cores >= 1
    assert found.speeds == {}
    assert not folder.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"key": "KEY", "measured": {"speeds": {"pass": -1}, "codecs": {}}}',
        b'{"key": "KEY", "measured": {"speeds": {}, "codecs": {}}, "more": 1}',
        b'{"key": "KEY", "measured": {"speeds": {"pass": NaN}}}',
        b'{"key": "another", "measured": {"speeds": {}, "codecs": {}}}',
        b" " * 100_000,
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_none(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "probe.json").write_bytes(content.replace(b"KEY", b"k"))
    assert cache.load("k") is None
    cache.save("k", cache.Measured(speeds={"pass": 1.0}))
    assert cache.load("k") == cache.Measured(speeds={"pass": 1.0})


def test_a_folder_that_cannot_be_written_is_no_harm(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("a file where the folder should be")
    cache.save("k", cache.Measured())
    assert cache.load("k") is None
    assert "cannot be remembered" in caplog.text


def test_a_save_that_fails_leaves_what_was_there(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    cache.save("k", cache.Measured(speeds={"pass": 1.0}))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    cache.save("k", cache.Measured(speeds={"pass": 2.0}))
    assert cache.load("k") == cache.Measured(speeds={"pass": 1.0})
    assert [file.name for file in folder.iterdir()] == ["probe.json"]


@pytest.mark.usefixtures("brief")
def test_each_engine_has_figures_of_its_own(folder: Path) -> None:
    probe.capabilities()
    assert probe.quick(Card()).speeds == {}
    assert probe.capabilities(engine=Card()).speeds
    assert {file.name for file in folder.iterdir()} == {"probe.json", "probe-cuda.json"}
    assert probe.quick().speeds
    assert probe.quick(Card()).speeds


@pytest.mark.usefixtures("brief")
def test_other_nets_or_another_card_are_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    probe.capabilities(engine=Card())
    with monkeypatch.context() as patch:
        patch.setattr(nets, "card", lambda _method: {"sha256": "another"})
        assert probe.quick(Card()).speeds == {}
    with monkeypatch.context() as patch:
        patch.setenv("P2C2G_WORKER_GPU", "1")
        assert probe.quick(Card()).speeds == {}
    assert probe.quick(Card()).speeds


# -- the machine


def write(root: Path, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "groups", root / "own"


@pytest.mark.parametrize(
    ("files", "cpu", "memory"),
    [
        ({}, None, None),
        ({"own": "0::/\n"}, None, None),
        ({"own": "0::/\n", "groups/cpu.max": "max 100000", "groups/memory.max": "max"}, None, None),
        (
            {"own": "0::/\n", "groups/cpu.max": "150000 100000", "groups/memory.max": "1048576"},
            1.5,
            1 << 20,
        ),
        # The narrowest of all above counts.
        (
            {
                "own": "0::/a/b\n",
                "groups/a/cpu.max": "200000 100000",
                "groups/a/b/cpu.max": "400000 100000",
                "groups/a/b/memory.max": "4096",
                "groups/a/memory.max": "8192",
            },
            2.0,
            4096,
        ),
        # Version 1 has a tree for each controller, and -1 for no limit.
        (
            {
                "own": "4:cpu,cpuacct:/x\n3:memory:/x\n1:name=systemd:/x\n",
                "groups/cpu/x/cpu.cfs_quota_us": "50000",
                "groups/cpu/x/cpu.cfs_period_us": "100000",
                "groups/cpu/cpu.cfs_quota_us": "-1",
                "groups/cpu/cpu.cfs_period_us": "100000",
                "groups/memory/x/memory.limit_in_bytes": "2048",
            },
            0.5,
            2048,
        ),
        (
            {"own": "0::/\n", "groups/cpu.max": "what is\nthis", "groups/memory.max": "?"},
            None,
            None,
        ),
    ],
)
def test_a_container_has_what_its_groups_allow(
    tmp_path: Path, files: dict[str, str], cpu: float | None, memory: int | None
) -> None:
    groups, own = write(tmp_path, files)
    assert cpus.cpu_quota(groups, own) == cpu
    assert machine.memory_limit(groups, own) == memory


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_cores_are_what_the_quota_has_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = len(os.sched_getaffinity(0))
    for quota, cores in [(None, allowed), (0.3, 1), (1.9, 1), (10_000.0, allowed)]:
        monkeypatch.setattr(cpus, "cpu_quota", lambda quota=quota: quota)
        assert cpus.cores() == cores


# -- graphics


class Nvml:
    """NVIDIA's library as it answers where there are two cards, or where there is no driver."""

    class NVMLError(Exception):
        pass

    def __init__(self, driver: bool) -> None:
        self._driver = driver
        self.open = 0

    def nvmlInit(self) -> None:
        if not self._driver:
            raise self.NVMLError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:
        return [b"Old Card", "New Card"][handle]  # Bytes in old versions.

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(total=(handle + 1) << 30)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], Nvml]:
    def install(driver: bool) -> Nvml:
        library = Nvml(driver)
        find, load = graphics.importlib.util.find_spec, graphics.importlib.import_module
        monkeypatch.setattr(
            graphics.importlib.util,
            "find_spec",
            lambda name: name == "pynvml" or find(name),
        )
        monkeypatch.setattr(
            graphics.importlib,
            "import_module",
            lambda name, *rest: library if name == "pynvml" else load(name, *rest),
        )
        return library

    return install


class Card(CpuEngine):
    """An engine of a card that works."""

    kind: Kind = "cuda"


def test_nvidia_cards_are_told_and_one_that_works_makes_a_gpu_peer(
    nvml: Callable[[bool], Nvml],
) -> None:
    library = nvml(True)
    assert probe.quick().queues == ("cpu",)
    found = probe.quick(Card())
    assert found.gpus[:2] == (
        Gpu(name="Old Card", kind="cuda", memory=1 << 30),
        Gpu(name="New Card", kind="cuda", memory=2 << 30),
    )
    assert found.queues == ("cpu", "gpu")
    assert probe.quick().gpus == found.gpus
    assert library.open == 0


def test_a_card_without_a_driver_is_none(nvml: Callable[[bool], Nvml]) -> None:
    nvml(False)
    assert graphics._nvidia() == []


def test_one_card_is_told_once(
    nvml: Callable[[bool], Nvml], monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml(True)
    monkeypatch.setattr(graphics, "_opencl", lambda: [Gpu(name="New Card", kind="opencl")])
    assert [gpu.kind for gpu in graphics.gpus()] == ["cuda", "cuda"]


def test_no_gpu_means_no_gpu_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "gpus", tuple)
    found: Capabilities = probe.quick()
    assert found.queues == ("cpu",)
