"""What is shipped, what each role has to install, and what pages say of it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from p2c2g import __version__
from p2c2g.commands import extras

ROOT = Path(__file__).parents[2]
#: What runs at the broker.
SCRIPTS = sorted((ROOT / "p2c2g/messaging/scripts").glob("*.lua"))
#: What the coordinator's pages are made of.
PAGES = [
    path
    for name in ("templates", "static")
    for path in (ROOT / "p2c2g/coordinator" / name).iterdir()
]
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
    assert PAGES
    for needed in (
        "p2c2g/display/static/index.html",
        "p2c2g/display/static/viewer.js",
        *(f"p2c2g/messaging/scripts/{path.name}" for path in SCRIPTS),
        *(str(path.relative_to(ROOT)) for path in PAGES),
        "p2c2g/coordinator/migrations/env.py",
        "p2c2g/coordinator/migrations/versions/first_0001.py",
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


def named_extras() -> dict[str, list[str]]:
    """Return the requirements of each extra."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found: dict[str, list[str]] = read["project"]["optional-dependencies"]
    return found


def test_no_page_names_a_package_that_cannot_be_had() -> None:
    """P2C2G is on no index: a page shows a folder or a wheel, and extras that there are."""
    lines = [
        line
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("training/*.md")]
        for line in re.findall(r"pip install [^\n`#]*", page.read_text())
    ]
    assert lines
    wheel = f"dist/p2c2g-{__version__}-py3-none-any.whl"
    for line in lines:
        found = re.fullmatch(r'pip install (?:-e )?"(.+)\[([\w,]+)\]"\s*', line)
        assert found, line
        assert found[1] in (".", wheel), line
        assert set(found[2].split(",")) <= named_extras().keys(), line


def test_each_library_is_said_to_be_in_an_extra_that_brings_it() -> None:
    names = {
        "Xlib": "python-xlib", "pynvml": "nvidia-ml-py", "python_multipart": "python-multipart",
        "prometheus_client": "prometheus-client",
    }  # fmt: skip
    for module, extra in extras.EXTRAS.items():
        brought = [re.split(r"[<>=;\[ ]", each)[0] for each in named_extras()[extra]]
        assert names.get(module, module) in brought, module
    for (_, module), extra in extras.PROGRAMS_OWN.items():
        brought = [re.split(r"[<>=;\[ ]", each)[0] for each in named_extras()[extra]]
        assert module in brought
        assert extra != extras.EXTRAS[module]
    roles = ("worker", "ml", "capture", "broker", "flower", "coordinator")
    # What another extra brings, too, which is the one that is named.
    web = {"starlette", "uvicorn", "websockets"}
    others = {"coordinator": web, "worker": web, "capture": {"psutil"}}
    for extra in roles:
        told = {names.get(each, each) for each, its in extras.EXTRAS.items() if its == extra}
        brought = [re.split(r"[<>=;\[ ]", each)[0] for each in named_extras()[extra]]
        # What an extra brings by another of ours is said there.
        assert told == set(brought) - {"p2c2g"} - others.get(extra, set())


def test_every_sentence_of_the_code_names_an_extra_that_there_is() -> None:
    for folder in ("p2c2g", "workers", "capture", "training"):
        for file in (ROOT / folder).rglob("*.py"):
            for named in re.findall(r"p2c2g\[([a-z,]+)\]", file.read_text()):
                assert set(named.split(",")) <= named_extras().keys(), file


@pytest.mark.parametrize("module", ["p2c2g.commands.main", "p2c2g_capture.cli"])
def test_the_version_is_told_without_the_libraries_of_the_work(module: str) -> None:
    """It took 0.5 s, or 1.7 on a slow machine, and takes 0.1."""
    slow = {"numpy", "pydantic", "redis", "celery", "structlog", "cv2", "av", "starlette"}
    slow -= {"numpy", "cv2"} if module == "p2c2g_capture.cli" else set()
    code = (
        f"import sys; sys.argv[1:] = ['--version']\nfrom {module} import main\n"
        "try: main()\nexcept SystemExit: print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    version, loaded = done.stdout.splitlines()
    assert version == f"p2c2g {__version__}"
    assert not slow & set(loaded.split())


def test_flowers_memory_is_bounded_wherever_we_start_it() -> None:
    own = "p2c2g/coordinator/flower_process.py"
    assert '"--max_tasks=10000"' in (ROOT / own).read_text(encoding="utf-8")
    for path in ("README.md", "docs/broker.md", "p2c2g/commands/demo.py"):
        assert "--max_tasks=10000" in (ROOT / path).read_text(encoding="utf-8"), path
