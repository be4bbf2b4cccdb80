from __future__ import annotations

import json
import plistlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.lending.home import RUN, VARIABLE, Home
from p2c2g.lending.plain_process import PlainProcess
from p2c2g.lending.service import Launchd, Systemd, WindowsTask, service_of, usual_kind
from p2c2g.lending.unit import Unit, launchd_plist, systemd_unit, windows_script

WAITS = "import time; time.sleep(600)"
#: Ends in good order, and says so, a moment after it is asked to.
GOOD = """
import pathlib, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(pathlib.Path(sys.argv[1]).write_text("bye") * 0))
pathlib.Path(sys.argv[1]).write_text("up")
signal.pause()
"""


class System:
    """Remembers what it was told to run, and answers with 0 unless told otherwise."""

    def __init__(self, codes: dict[str, int] | None = None) -> None:
        self.codes = codes or {}
        self.ran: list[str] = []
        self.lingers = False

    def __call__(self, command: Sequence[str]) -> tuple[int, str]:
        text = " ".join(command)
        self.ran.append(text)
        code = next((code for part, code in self.codes.items() if part in text), 0)
        return code, "yes\n\n" if "show-user" in text and self.lingers else "it says no"


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    return Unit.of(Home(tmp_path / 'a "home" 100%'), RUN)


def test_each_home_has_a_service_of_its_own(tmp_path: Path, unit: Unit) -> None:
    usual = Unit.of(Home(Home.usual()), RUN)
    assert usual.name == "p2c2g-peer"
    assert not usual.environment
    assert unit.name != Unit.of(Home(tmp_path / "b"), RUN).name
    assert unit.environment == {VARIABLE: str(tmp_path / 'a "home" 100%')}
    assert unit.command[1:] == RUN


def test_systemd_takes_the_unit(tmp_path: Path, unit: Unit) -> None:
    system = System()
    service = Systemd(system, tmp_path / "systemd" / "user")
    service.install(unit)
    service.start(unit.name)
    assert service.is_running(unit.name)
    file = tmp_path / "systemd" / "user" / f"{unit.name}.service"
    assert file.read_text() == systemd_unit(unit)
    assert "\nCPUWeight=10\n" in file.read_text()
    assert '%%"/current' not in file.read_text()
    assert '100%%/current/bin/p2c2g" peer run --configured' in file.read_text()
    assert not service.note()
    service.uninstall(unit.name)
    service.uninstall(unit.name)
    assert not (tmp_path / "systemd").exists()
    assert system.ran == [
        "systemctl --user daemon-reload",
        f"systemctl --user enable {unit.name}.service",
        "loginctl enable-linger",
        f"systemctl --user start {unit.name}.service",
        f"systemctl --user is-active --quiet {unit.name}.service",
        f"systemctl --user disable --now {unit.name}.service",
        "systemctl --user daemon-reload",
    ]


@pytest.mark.needs("systemd-analyze")
def test_systemds_own_checker_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    true = Path(shutil.which("true") or "/bin/true")
    unit = Unit("p2c2g-peer", (str(true), "a b", '"', "50%", "$HOME"), {"A": "b c"}, tmp_path)
    file = tmp_path / "p2c2g-peer.service"
    file.write_text(systemd_unit(unit))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", str(file)],
        capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_what_systemd_refuses_is_one_sentence(tmp_path: Path, unit: Unit) -> None:
    service = Systemd(System({"enable ": 1}), tmp_path)
    with pytest.raises(UnavailableError, match=r"^systemctl does not do it: it says no\.$"):
        service.install(unit)
    lingerless = Systemd(System({"linger": 1}), tmp_path)
    lingerless.install(unit)
    assert "enable-linger" in lingerless.note()
    system = System({"enable-linger": 1})
    system.lingers = True
    kept = Systemd(system, tmp_path)
    kept.install(unit)
    assert not kept.note()


def test_launchd_gets_a_file_that_its_format_can_read(tmp_path: Path, unit: Unit) -> None:
    system = System({"print": 1})
    service = Launchd(system, tmp_path, 501)
    service.install(unit)
    (file,) = tmp_path.glob("*.plist")
    told = plistlib.loads(file.read_bytes())
    assert told == plistlib.loads(launchd_plist(unit))
    assert told["ProgramArguments"] == list(unit.command)
    assert told["Label"] == f"org.p2c2g.{unit.name}"
    service.uninstall(unit.name)
    assert not list(tmp_path.glob("*.plist"))
    assert system.ran[0] == f"launchctl bootstrap gui/501 {file}"


def test_powershell_sees_no_name_as_code(tmp_path: Path) -> None:
    unit = Unit("p2c2g-peer", ("C:\\it's\\p2c2g.exe", "peer"), {"A": "'; evil; '"}, tmp_path)
    script = windows_script(unit)
    # Quoted within quotes: each ' is doubled twice.
    assert "''C:\\it''''s\\p2c2g.exe''" in script
    assert "''''''; evil; ''''''" in script
    system = System()
    WindowsTask(system).install(unit)
    assert system.ran[0].endswith(script)


@pytest.mark.parametrize(
    ("platform", "code", "kind"),
    [
        ("win32", 0, "windows"),
        ("darwin", 0, "launchd"),
        ("linux", 0, "systemd"),
        ("linux", 1, "none"),
    ],
)
def test_each_system_has_its_usual_service(platform: str, code: int, kind: str) -> None:
    assert usual_kind(System({"show-environment": code}), platform) == kind


def test_an_unknown_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give auto, systemd, launchd, windows or none"):
        service_of("initd", Home(tmp_path))


class TestPlainProcess:
    @pytest.fixture
    def service(self, tmp_path: Path) -> Iterator[PlainProcess]:
        service = PlainProcess(tmp_path / "service.json", 30)
        yield service
        service.uninstall("peer")

    def test_it_is_started_once_and_ends_in_good_order(
        self, tmp_path: Path, service: PlainProcess
    ) -> None:
        said = tmp_path / "said"
        said.touch()
        command = (sys.executable, "-c", GOOD, str(said))
        service.install(Unit("peer", command, {}, tmp_path / "log"))
        assert not service.is_running("peer")
        service.start("peer")
        note = (tmp_path / "service.json").read_bytes()
        service.start("peer")
        assert (tmp_path / "service.json").read_bytes() == note
        assert service.is_running("peer")
        while said.read_text() != "up":
            assert service.is_running("peer"), (tmp_path / "log" / "service.log").read_text()
        service.stop("peer")
        assert not service.is_running("peer")
        assert said.read_text() == "bye"
        service.uninstall("peer")
        assert not (tmp_path / "service.json").exists()

    def test_one_that_ends_just_as_it_is_to_end_is_no_error(
        self, tmp_path: Path, service: PlainProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def ends(process: psutil.Process, recursive: bool = False) -> list[psutil.Process]:
            process.kill()
            process.wait(30)
            raise psutil.NoSuchProcess(process.pid)

        service.install(Unit("peer", (sys.executable, "-c", WAITS), {}, tmp_path / "log"))
        service.start("peer")
        monkeypatch.setattr(psutil.Process, "children", ends)
        service.stop("peer")
        assert not service.is_running("peer")

    def test_another_process_of_that_id_is_left_alone(
        self, tmp_path: Path, service: PlainProcess
    ) -> None:
        service.install(Unit("peer", (sys.executable, "-c", "input()"), {}, tmp_path / "log"))
        service.start("peer")
        file = tmp_path / "service.json"
        text = file.read_text()
        service.stop("peer")
        other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        try:
            note = json.loads(text)
            note["pid"] = other.pid
            note["created"] -= 100
            file.write_text(json.dumps(note))
            assert not service.is_running("peer")
            service.stop("peer")
            assert other.poll() is None
        finally:
            other.kill()
            other.communicate()

    def test_what_cannot_be_started_is_one_sentence(
        self, tmp_path: Path, service: PlainProcess
    ) -> None:
        with pytest.raises(UsageError, match="p2c2g peer init"):
            service.start("peer")
        service.install(Unit("peer", ("/nowhere/p2c2g",), {}, tmp_path / "log"))
        with pytest.raises(UnavailableError, match=r"^/nowhere/p2c2g cannot be started"):
            service.start("peer")

    def test_what_it_prints_is_kept_within_bounds(
        self, tmp_path: Path, service: PlainProcess
    ) -> None:
        (tmp_path / "log").mkdir()
        log = tmp_path / "log" / "service.log"
        log.write_bytes(b"x" * 2_000_000)
        service.install(Unit("peer", (sys.executable, "-c", "input()"), {}, tmp_path / "log"))
        service.start("peer")
        assert log.stat().st_size < 2_000_000
        assert log.with_suffix(".log.1").stat().st_size == 2_000_000
