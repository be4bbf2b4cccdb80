"""What is shipped, and what each role has to install."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
#: What runs at the broker.
SCRIPTS = sorted((ROOT / "p2c2g/messaging/scripts").glob("*.lua"))
WEB = {"starlette", "uvicorn", "websockets", "flower", "tornado"}
SCREEN = {"mss", "av", "Xlib"}
WORKER = {"p2c2g_workers"}
#: Seconds to import, which only a graphics card or a training is worth.
LEARNING = {"torch", "onnx", "p2c2g_training"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_packages_and_what_they_need(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"p2c2g", "p2c2g_workers", "p2c2g_capture", "p2c2g_training"}
    assert SCRIPTS
    for needed in (
        "p2c2g/display/static/index.html",
        "p2c2g/display/static/viewer.js",
        *(f"p2c2g/messaging/scripts/{path.name}" for path in SCRIPTS),
        "p2c2g_capture/clips/freedoom.mp4",
        "p2c2g_capture/clips/freedoom.LICENSE",
        "p2c2g_capture/clips/freedoom/ml-tiny.onnx",
        "p2c2g_capture/clips/freedoom/ml-tiny.json",
    ):
        assert needed in names
    assert wheel.getinfo("p2c2g_capture/clips/freedoom.mp4").file_size <= 6_000_000
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_is_typed(wheel: zipfile.ZipFile) -> None:
    for package in ("p2c2g", "p2c2g_workers", "p2c2g_capture", "p2c2g_training"):
        assert f"{package}/py.typed" in wheel.namelist()


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("p2c2g_workers.tasks", WEB | SCREEN | LEARNING | {"p2c2g_capture"}),
        ("p2c2g_workers.consumer", WEB | SCREEN | LEARNING | {"p2c2g_capture"}),
        ("p2c2g_capture.cli", WORKER | LEARNING | {"flower", "tornado"}),
        ("p2c2g.commands.main", WEB | SCREEN | WORKER | LEARNING | {"p2c2g_capture"}),
    ],
)
def test_a_role_loads_no_other_roles_libraries(module: str, forbidden: set[str]) -> None:
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not forbidden & set(done.stdout.split())
