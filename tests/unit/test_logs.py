"""Logs: said once, with what is known of a chunk, without passwords, and never in the way."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, signals

import p2c2g.logs
import p2c2g_workers.logs
from p2c2g.errors import UsageError
from p2c2g.logs import CONTEXT, Outputs, bound, configure, install, json_file, rebind
from p2c2g.logs import file as logfile
from p2c2g.logs.file import JsonFile
from p2c2g.logs.throttle import Throttle
from p2c2g.settings import LogSettings, load


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Lines(logging.Handler):
    """Keeps what it is given, formatted."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(autouse=True)
def _nothing_bound() -> None:
    rebind()


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """Give a logger of its own; its handlers are closed afterwards."""
    logger = logging.getLogger("p2c2g.test")
    logger.propagate, logger.level = False, logging.DEBUG
    yield logger
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Give the root logger as it is, and leave it so."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    logger.handlers = []
    yield logger
    for handler in logger.handlers:
        handler.close()
    logger.handlers, logger.level = handlers, level


@pytest.fixture
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all of a test be within the second of equal lines, wherever the machine stands still."""
    monkeypatch.setattr(p2c2g.logs, "Throttle", lambda: Throttle(window=1e9))


def settings(**fields: Any) -> LogSettings:
    return LogSettings.model_validate(fields)


def read(folder: Path) -> list[dict[str, Any]]:
    text = "".join(path.read_text() for path in sorted(folder.glob("*.jsonl")))
    return [json.loads(line) for line in text.splitlines() if line]


# -- equal lines


def test_a_thousand_equal_warnings_are_one_line_and_a_count(log: logging.Logger) -> None:
    lines, clock = Lines(), Clock()
    outputs = Outputs([lines], clock)
    log.addHandler(outputs)
    for number in range(1000):
        log.warning("Chunk 1 of frame %d failed", number)
        clock.now += 0.000_9
    assert lines.lines == ["Chunk 1 of frame 0 failed"]
    clock.now += 1
    log.warning("Chunk 1 of frame %d failed", 2000)
    assert lines.lines[1:] == ["Chunk 1 of frame 2000 failed (and 999 more like it)"]


def test_the_count_is_told_by_the_next_warning_of_any_kind(log: logging.Logger) -> None:
    lines, clock = Lines(), Clock()
    log.addHandler(Outputs([lines], clock))
    for number in range(5):
        log.warning("late by %d", number)
    clock.now += 1
    log.warning("something else")
    assert lines.lines == ["late by 0", "something else", "late by 4 (and 4 more like it)"]


def test_the_count_is_told_at_the_end(log: logging.Logger) -> None:
    lines = Lines()
    outputs = Outputs([lines], Clock())
    log.addHandler(outputs)
    for _ in range(3):
        log.error("again")
    outputs.close()
    assert lines.lines == ["again", "again (and 2 more like it)"]


def test_peers_and_kinds_of_errors_are_told_apart(log: logging.Logger) -> None:
    lines = Lines()
    log.addHandler(Outputs([lines], Clock()))
    for peer in ("one", "two", "one"):
        log.warning("failed at %s", peer, extra={"peer": peer})
    for error in (ValueError, KeyError, ValueError):
        try:
            raise error
        except (ValueError, KeyError):
            log.exception("broken")
    told = [line.splitlines()[0] for line in lines.lines]
    assert told == ["failed at one", "failed at two", "broken", "broken"]


def test_what_is_no_warning_is_never_held_back(log: logging.Logger) -> None:
    lines = Lines()
    log.addHandler(Outputs([lines], Clock()))
    for _ in range(10):
        log.info("run")
    assert lines.lines == ["run"] * 10


def test_each_output_has_its_own_level(log: logging.Logger) -> None:
    everything, errors = Lines(), Lines()
    errors.setLevel(logging.ERROR)
    log.addHandler(Outputs([everything, errors], Clock()))
    log.warning("small")
    log.error("great")
    assert everything.lines == ["small", "great"]
    assert errors.lines == ["great"]


# -- what a line says


def test_a_line_of_json_names_the_chunk(log: logging.Logger, tmp_path: Path) -> None:
    install(log, [json_file(tmp_path, settings(level="INFO"), "test")])
    with bound(session="5f1c", peer="one@here"):
        log.warning("failed: %s", "why", extra={"frame": 7, "chunk": 2, "attempt": 3})
    log.info("outside", extra={"secret": "not asked for"})
    install(log, [])
    first, second = read(tmp_path)
    assert first["event"] == "failed: why"
    assert (first["level"], first["logger"]) == ("warning", "p2c2g.test")
    assert first["process"] == os.getpid()
    assert first["timestamp"].endswith("+00:00")
    assert {name: first[name] for name in CONTEXT} == {
        "session": "5f1c", "frame": 7, "chunk": 2, "attempt": 3, "peer": "one@here",
    }  # fmt: skip
    assert not set(CONTEXT) & set(second)
    assert "secret" not in second


def test_what_is_bound_is_this_threads(log: logging.Logger, tmp_path: Path) -> None:
    install(log, [json_file(tmp_path, settings(level="INFO"), "test")])
    rebind(session="mine")
    other = threading.Thread(target=lambda: log.warning("other"))
    other.start()
    other.join()
    with bound(frame=3):
        log.warning("both")
    log.warning("one")
    rebind()
    log.warning("none")
    install(log, [])
    said = {
        line["event"]: {name: line.get(name) for name in CONTEXT[:2]} for line in read(tmp_path)
    }
    assert said["other"] == {"session": None, "frame": None}
    assert said["both"] == {"session": "mine", "frame": 3}
    assert said["one"] == {"session": "mine", "frame": None}
    assert said["none"] == {"session": None, "frame": None}


@pytest.mark.usefixtures("one_second")
def test_a_count_keeps_the_context_of_the_line_that_it_counts(
    log: logging.Logger, tmp_path: Path
) -> None:
    outputs = install(log, [json_file(tmp_path, settings(), "test")])
    with bound(session="a"):
        log.warning("again")
        log.warning("again")
    with bound(session="b"):
        outputs.close()
    lines = read(tmp_path)
    assert [line.get("repeated") for line in lines] == [None, 1]
    assert [line["session"] for line in lines] == ["a", "a"]


def test_an_exception_is_in_its_line(log: logging.Logger, tmp_path: Path) -> None:
    install(log, [json_file(tmp_path, settings(), "test")])
    try:
        raise ValueError("of redis://:Geheim@host/0")
    except ValueError:
        log.exception("broken")
    install(log, [])
    (line,) = read(tmp_path)
    assert "ValueError: of redis://:***@host/0" in line["exception"]


def test_strangers_words_cannot_forge_a_line(
    log: logging.Logger, tmp_path: Path, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = configure(settings(dir=str(tmp_path)))
    logging.getLogger("x").warning(
        "peer says %s", "a\n12:00:00 [error] forged \x1b[2J" + "x" * 9999
    )
    outputs.flush()
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert "a\\n12:00:00" in told
    assert "\x1b[2J" not in told
    assert len(told) < 3000
    assert len(read(tmp_path)) == 1


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("at redis://:Geheim@h:1/0.", "at redis://:***@h:1/0."),
        ("rediss://user:Ge#h/e@im@h failed", "rediss://user:***@h failed"),
        ("redis://h/0?password=Geheim&db=1", "redis://h/0?password=***&db=1"),
        ("sentinel://:Geheim@a;sentinel://:Geheim@b", None),
        ("see http://h/a:b and me@home", "see http://h/a:b and me@home"),
    ],
)
def test_no_password_is_written(
    log: logging.Logger, tmp_path: Path, said: str, written: str | None
) -> None:
    lines = Lines()
    install(log, [lines, json_file(tmp_path, settings(), "test")])
    log.warning("%s", said)
    install(log, [])
    for line in (lines.lines[0], read(tmp_path)[0]["event"]):
        assert "Geheim" not in line
        assert "Ge#h" not in line
        assert written is None or line == written


# -- files


def test_files_are_bounded(log: logging.Logger, tmp_path: Path) -> None:
    handler = json_file(tmp_path, settings(megabytes=0.01, backups=2, level="INFO"), "test")
    install(log, [handler])
    for number in range(1000):
        log.info("line %d of many", number)
    install(log, [])
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == [
        f"test-{os.getpid()}.jsonl{end}" for end in ("", ".1", ".2")
    ]
    assert all(path.stat().st_size <= 0.01 * 2**20 for path in files)
    assert json.loads(files[0].read_text().splitlines()[-1])["event"] == "line 999 of many"


def test_a_folder_keeps_the_newest_files_of_ours_and_all_of_others(
    log: logging.Logger, tmp_path: Path
) -> None:
    for number in range(logfile.MAX_FILES + 3):
        path = tmp_path / f"p2c2g-{number + 1}.jsonl"
        path.touch()
        os.utime(path, (number, number))
    theirs = tmp_path / "notes.jsonl"
    theirs.touch()
    os.utime(theirs, (0, 0))
    install(log, [json_file(tmp_path, settings(), "test")])
    log.warning("one more")
    install(log, [])
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == logfile.MAX_FILES + 1
    assert {"notes.jsonl", f"test-{os.getpid()}.jsonl", "p2c2g-5.jsonl"} <= names
    assert "p2c2g-4.jsonl" not in names


def test_a_folder_that_cannot_be_is_told_once_and_hurts_nobody(
    root: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    configure(settings(dir=str(tmp_path / "file" / "logs")))
    for number in range(5):
        logging.getLogger(f"x{number}").warning("said")
    told = capsys.readouterr().err
    assert told.count("No log is written to") == 1
    assert told.count("said") == 5
    assert "Traceback" not in told


class FullDisk(io.TextIOWrapper):
    """A file on a disk that is full now and then."""

    full = False

    def write(self, text: str) -> int:
        if FullDisk.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_full_disk_costs_lines_and_nothing_else(
    log: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: logging.Logger
) -> None:
    told, clock = Lines(), Clock()
    root.addHandler(told)
    monkeypatch.setattr(
        logging.FileHandler, "_open", lambda self: FullDisk(io.FileIO(self.baseFilename, "ab"))
    )
    handler = JsonFile(tmp_path, "test", max_bytes=1 << 20, backups=1, clock=clock)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.warning("before")
    monkeypatch.setattr(FullDisk, "full", True)
    for _ in range(1000):
        log.warning("lost")
    clock.now += logfile.RETRY_INTERVAL
    log.warning("lost")
    assert handler.dropped == 1001
    assert [line for line in told.lines if "No space left" in line] == told.lines[:1]
    monkeypatch.setattr(FullDisk, "full", False)
    log.warning("not tried yet")
    clock.now += logfile.RETRY_INTERVAL
    log.warning("after")
    handler.close()
    assert (tmp_path / f"test-{os.getpid()}.jsonl").read_text().split() == ["before", "after"]
    assert len(told.lines) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_the_real_full_device(log: logging.Logger, tmp_path: Path, root: logging.Logger) -> None:
    (tmp_path / f"test-{os.getpid()}.jsonl").symlink_to("/dev/full")
    told = Lines()
    root.addHandler(told)
    handler = JsonFile(tmp_path, "test", max_bytes=1 << 20, backups=1)
    log.addHandler(handler)
    for _ in range(10):
        log.warning("lost")
    assert handler.dropped == 10
    assert len(told.lines) == 1


FORK = """
import logging, os, sys
from p2c2g.logs import configure
from p2c2g.settings import LogSettings
configure(LogSettings(dir=sys.argv[1]))
logging.getLogger("x").warning("parent")
child = os.fork()
logging.getLogger("x").error("child" if child == 0 else "parent again")
if child == 0:
    logging.shutdown()
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_file_of_its_own(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", FORK, str(tmp_path)], check=True, timeout=100, capture_output=True
    )
    files = [[json.loads(line)["event"] for line in path.read_text().splitlines()]
             for path in tmp_path.iterdir()]  # fmt: skip
    assert sorted(files) == [["child"], ["parent", "parent again"]]


# -- settings and the worker


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("P2C2G_LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
        ("P2C2G_LOG_MEGABYTES", "0", "greater than or equal to 0.01"),
        ("P2C2G_LOG_BACKUPS", "many", "valid integer"),
        ("P2C2G_LOG_FOLDER", "x", "there are P2C2G_LOG_LEVEL, P2C2G_LOG_DIR"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, right: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=right):
        configure()


def test_the_level_is_read_in_any_case(
    monkeypatch: pytest.MonkeyPatch, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("P2C2G_LOG_LEVEL", "info")
    assert load().log.level == "INFO"
    configure()
    logging.getLogger("x").info("quiet word")
    logging.getLogger("x").debug("whisper")
    told = capsys.readouterr().err
    assert "quiet word" in told
    assert "whisper" not in told


def test_machines_read_more_than_people(
    root: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(settings(level="ERROR", dir=str(tmp_path)))
    logging.getLogger("x").info("for machines")
    configure(settings())
    assert capsys.readouterr().err == ""
    assert [line["event"] for line in read(tmp_path)] == ["for machines"]


@pytest.mark.usefixtures("one_second")
def test_a_workers_lines_go_to_its_file_too(
    root: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2C2G_LOG_DIR", str(tmp_path))
    console = Lines()
    root.addHandler(console)
    root.setLevel(logging.WARNING)
    assert p2c2g_workers.logs.add_outputs in [each() for _, each in _receivers()]
    signals.after_setup_logger.send(
        sender=None, logger=root, loglevel=logging.WARNING, logfile=None, format="", colorize=False
    )
    with bound(session="5f1c", frame=1, chunk=0, attempt=2, peer="one@here"):
        for _ in range(50):
            Celery(set_as_current=False).log.get_default_logger("celery.app.trace").error("raised")
    assert console.lines == ["raised"]
    (line,) = read(tmp_path)
    assert (line["event"], line["attempt"], line["peer"]) == ("raised", 2, "one@here")
    assert next(tmp_path.iterdir()).name.startswith("worker-")


def _receivers() -> list[Any]:
    return [each[:2] for each in signals.after_setup_logger.receivers]
