"""What a person gets wrong gets one sentence that says what would be right."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from .conftest import finish, finish_quickly

USAGE = {
    "watched without a pool": ("--watchable", "give --pool"),
    "no such file": ("--source=video:nowhere.mp4", "no file nowhere.mp4"),
    "not a video": (f"--source=video:{__file__}", "not a video"),
    "unknown source": ("--source=telepathy", "give one of auto, screen"),
    "zero size": ("--size=0x360", "such as 640x360"),
    "negative size": ("--size=-640x360", "such as 640x360"),
    "zero rate": ("--fps=0", "above 0"),
    "negative rate": ("--fps=-30", "above 0"),
    "no rate": ("--fps=fast", "--fps"),
    "a pointer where no screen is": ("--cursor", "Only a screen has a pointer"),
    "no bandwidth": ("--max-up-mbps=0", "such as 20"),
    "bandwidth without an end": ("--max-down-mbps=1e400", "such as 20"),
    "bandwidth with a unit": ("--max-up-mbps=5mbit", "such as 20"),
    "zero grid": ("--chunks=0x2", "such as 2x1"),
    "zero seconds": ("--seconds=0", "above 0"),
    "unknown codec": ("--codec=tiff", "jpeg, webp, avif, png, raw"),
    "unknown operation": ("--ops=embiggen:2", "upscale, resize, sharpen"),
    "operation without value": ("--ops=upscale", "upscale:FACTOR"),
    "quality": ("--quality=101", "--quality"),
    "no such latency": ("--latency=low", "give paced or none"),
    "record": ("--record=shown.avi", ".mp4"),
    "report": ("--report=no/such/folder/report.json", "folder that exists"),
    "port": ("--port=70000", "--port"),
    "broker's scheme": ("--broker=http://127.0.0.1", "redis://"),
    "unknown option": ("--colour=red", "--help"),
}


def check_sentence(errors: str, expected: str) -> None:
    assert expected in errors
    assert "Traceback" not in errors
    assert len(errors.strip().splitlines()) == 1, errors


@pytest.mark.parametrize(("argument", "expected"), USAGE.values(), ids=USAGE.keys())
def test_wrong_usage_exits_with_2(argument: str, expected: str) -> None:
    done = finish_quickly("p2c2g-capture", "run", "--source=pattern", "--headless", argument)
    assert done.code == 2, done
    check_sentence(done.errors, expected)


def test_a_grid_finer_than_the_frame() -> None:
    done = finish_quickly(
        "p2c2g-capture",
        "run",
        "--source=pattern",
        "--size=320x180",
        "--chunks=1x50",
        "--ops=upscale:1.37",
        "--headless",
    )
    assert done.code == 2
    check_sentence(done.errors, "2x4 is the finest")


def test_what_is_done_here_needs_no_carrying() -> None:
    done = finish_quickly(
        "p2c2g-capture", "run", "--source=pattern", "--ops=upscale:2", "--where=here",
        "--latency=none", "--headless",
    )  # fmt: skip
    assert done.code == 2
    check_sentence(done.errors, "give --where peers, or leave it out")


def test_both_scale_and_ops() -> None:
    done = finish("p2c2g-capture", "run", "--scale=2", "--ops=pass")
    assert done.code == 2
    check_sentence(done.errors, "--ops")


def test_a_port_in_use_exits_with_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = finish_quickly("p2c2g-capture", "run", "--source=pattern", f"--port={port}")
    assert done.code == 2
    check_sentence(done.errors, f"{port} is in use")


def test_no_screen_exits_with_1() -> None:
    done = finish("p2c2g-capture", "run", "--source=screen", "--headless")
    assert done.code == 1
    check_sentence(done.errors, "DISPLAY")


def test_no_broker_exits_with_1_and_hides_the_password() -> None:
    done = finish_quickly(
        "p2c2g-capture",
        "run",
        "--source=pattern",
        "--headless",
        P2C2G_BROKER_URL="redis://:secret@127.0.0.1:1/0",
    )
    assert done.code == 1
    check_sentence(done.errors, "No broker answers at redis://:***@127.0.0.1:1/0")
    assert "secret" not in done.errors


@pytest.mark.parametrize("login", [":secret@", "secret@"])
def test_a_password_on_the_command_line_is_said_and_not_shown(login: str) -> None:
    done = finish_quickly(
        "p2c2g-capture",
        "run",
        "--source=pattern",
        "--headless",
        f"--broker=redis://{login}127.0.0.1:1/0",
    )
    assert done.code == 1
    warning, sentence = done.errors.strip().splitlines()
    assert "P2C2G_BROKER_URL_FILE" in warning
    assert "No broker answers at redis://" in sentence
    assert "secret" not in done.errors


def test_a_run_that_never_starts_touches_no_earlier_file(tmp_path: Path) -> None:
    record, report = tmp_path / "play.mp4", tmp_path / "play.json"
    for path in (record, report):
        path.write_bytes(b"the earlier one")
    done = finish_quickly(
        "p2c2g-capture",
        "run",
        "--source=pattern",
        "--headless",
        "--broker=redis://127.0.0.1:1/0",
        f"--record={record}",
        f"--report={report}",
    )
    assert done.code == 1
    assert set(tmp_path.iterdir()) == {record, report}
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"the earlier one"}


def test_a_wrong_variable_is_named() -> None:
    done = finish_quickly(
        "p2c2g-capture", "run", "--source=pattern", "--headless", P2C2G_SESSION_QUALITY="best"
    )
    assert done.code == 2
    check_sentence(done.errors, "QUALITY")


def test_the_demo_passes_the_sentence_on(tmp_path: Path) -> None:
    done = finish("p2c2g", "demo", "--source=telepathy", "--headless")
    assert done.code == 2
    check_sentence(done.errors, "give one of auto, screen")
    assert finish_quickly("p2c2g", "demo", "--peers=0").code == 2
