"""The script that makes a machine a peer: what can be said of it without installing anything."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from p2c2g import __version__
from p2c2g.coordinator.install_api import filled
from p2c2g.coordinator.own_wheel import own_wheel

SCRIPT = Path(__file__).parents[2] / "p2c2g" / "lending" / "install.sh"
POOL = "https://pool.example.org"

#: Does for a Python's what the script wants of it: an environment is a folder with programs.
PYTHON = """#!/bin/sh
case "$1 $2" in
"-m venv")
	mkdir -p "$3/bin"
	cp "$0" "$3/bin/python"
	;;
"-m pip")
	[ -z "$PIP_FAILS" ] || exit 1
	for last; do :; done
	echo "$last" > "$HOME/installed"
	printf '#!/bin/sh\\necho "$@" > "$HOME/ran"\\n' > "${0%/python}/p2c2g"
	chmod +x "${0%/python}/p2c2g"
	;;
*) exec REAL "$@" ;;
esac
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python3"
    python.write_text(PYTHON.replace("REAL", sys.executable))
    python.chmod(0o755)
    return tmp_path


def run(home: Path, *arguments: str, script: Path = SCRIPT, **env: str) -> tuple[int, str, str]:
    """Run it as a user whose Python is made up; return its exit code and what it printed."""
    done = subprocess.run(
        ["/bin/sh", str(script), *arguments],
        env={"PATH": f"{home / 'bin'}:/usr/bin:/bin", "HOME": str(home), **env},
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def served(tmp_path: Path) -> Path:
    path = tmp_path / "served.sh"
    path.write_text(filled(POOL, "", "", "1.2.3"))
    return path


@pytest.mark.needs("shellcheck")
def test_shellcheck_finds_no_fault() -> None:
    done = subprocess.run(
        ["shellcheck", str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(shutil.which("dash") is None, reason="needs dash: apt-get install dash")
def test_a_plain_posix_shell_reads_it() -> None:
    subprocess.run(["dash", "-n", str(SCRIPT)], check=True, timeout=60)


def test_it_installs_and_goes_on_with_init(home: Path, served: Path) -> None:
    code, said, wrong = run(
        home, "--yes", "--service", "none", "--", "--name", "attic", script=served
    )
    assert (code, wrong) == (0, ""), said
    assert (home / "installed").read_text() == "p2c2g[worker,ml]==1.2.3\n"
    ran = (home / "ran").read_text()
    assert ran == f"peer init {POOL} --yes --service none --name attic\n"
    peer = home / ".local" / "share" / "p2c2g" / "peer"
    assert (peer / "venvs" / "1.2.3" / "bin" / "p2c2g").exists()
    link = home / ".local" / "bin" / "p2c2g"
    assert link.readlink() == peer / "current" / "bin" / "p2c2g"
    # Once more: nothing is installed twice.
    (home / "installed").unlink()
    assert run(home, "--yes", script=served)[0] == 0
    assert not (home / "installed").exists()


def test_a_dry_run_touches_nothing(home: Path, served: Path) -> None:
    before = sorted(home.rglob("*"))
    code, said, _ = run(home, "--dry-run", script=served)
    assert code == 0
    assert f"run p2c2g peer init {POOL}." in said
    assert sorted(home.rglob("*")) == before


def test_half_an_environment_is_not_left(home: Path, served: Path) -> None:
    code, _, wrong = run(home, "--yes", script=served, PIP_FAILS="1")
    assert code == 1
    assert "pip could not install it" in wrong
    assert not (home / ".local" / "share" / "p2c2g" / "peer").exists()


def test_a_wheel_of_ones_own_is_taken(home: Path) -> None:
    wheel = home / "p2c2g-0.9.0-py3-none-any.whl"
    wheel.touch()
    code, said, wrong = run(home, "--pool", POOL, "--wheel", str(wheel), "--yes")
    assert (code, wrong) == (0, ""), said
    assert (home / "installed").read_text() == f"{wheel}[worker,ml]\n"
    assert (home / ".local/share/p2c2g/peer/venvs/0.9.0").is_dir()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "The pool is missing: give --pool URL"),
        (("--pool",), "--pool needs a value."),
        (("--pull", POOL), "--pull is no option."),
        (("--pool", POOL, "--token-file", "/nowhere"), "/nowhere cannot be read."),
        (("--pool", POOL, "--home", "here"), "--home here is no whole path"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    home: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    code, _, wrong = run(home, *arguments)
    assert code == 2
    assert wrong.startswith(f"install.sh: {sentence}")
    assert wrong.count("\n") == 1


def test_an_old_python_is_told_what_to_do(home: Path) -> None:
    for name in ("old", "python3"):
        (home / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (home / "bin" / name).chmod(0o755)
    code, _, wrong = run(home, "--pool", POOL, "--python", "old")
    assert code == 1
    assert "old is not there, or is older than 3.11" in wrong


def test_what_is_cut_off_on_its_way_does_nothing(home: Path) -> None:
    text = SCRIPT.read_text()
    (home / "cut.sh").write_text(text[: text.rindex("main")])
    before = sorted(home.rglob("*"))
    run(home, "--pool", POOL, "--yes", script=home / "cut.sh")
    assert sorted(home.rglob("*")) == before


def test_a_fetched_wheel_has_to_be_the_one_that_was_named(home: Path) -> None:
    source = home / "p2c2g-1.2.3-py3-none-any.whl"
    source.write_bytes(b"a wheel")
    for data, code in ((b"a wheel", 0), (b"another", 1)):
        text = filled(POOL, source.name, hashlib.sha256(data).hexdigest(), "1.2.3")
        # From a folder, which is fetched as an address is.
        text = text.replace('from="$pool/wheels/$WHEEL"', f'from="file://{source}"')
        script = home / "fetching.sh"
        script.write_text(text)
        found, said, wrong = run(home, "--yes", script=script, XDG_DATA_HOME=str(home / str(code)))
        assert found == code, said + wrong
        if code:
            assert "is not what it was to be" in wrong


def test_the_source_has_all_that_a_coordinator_fills_in() -> None:
    text = filled("http://127.0.0.1:8770", "w.whl", "ab")
    for line in ("POOL='http://127.0.0.1:8770'", f"VERSION='{__version__}'", "WHEEL='w.whl'"):
        assert line in text
    assert "'@" not in text.partition("usage()")[0]
    assert os.access(SCRIPT, os.R_OK)


def test_an_installation_is_a_wheel_again() -> None:
    wheel = own_wheel()
    assert wheel.name == f"p2c2g-{__version__}-py3-none-any.whl"
    assert hashlib.sha256(wheel.data).hexdigest() == wheel.sha256
    with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
        names = set(archive.namelist())
        info = f"p2c2g-{__version__}.dist-info"
        for name in ("p2c2g/lending/install.sh", "p2c2g_workers/page/static/index.html"):
            assert name in names
        assert {f"{info}/{name}" for name in ("METADATA", "WHEEL", "entry_points.txt")} <= names
        assert not any("__pycache__" in name for name in names)
        record = list(csv.reader(io.StringIO(archive.read(f"{info}/RECORD").decode())))
        assert {row[0] for row in record} == names
        for name, digest, size in record:
            if digest:
                data = archive.read(name)
                found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
                assert (digest, size) == (f"sha256={found.decode()}", str(len(data)))
