"""Each extra alone, from the wheel, in an environment of its own: what is missing is a sentence.

Real installs, by pip from its index: blocking imports would not show what a wheel leaves out.  One
environment an extra, without pip in it, takes some nine seconds.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from p2c2g.messaging.embedded import EmbeddedBroker
from tests.effort import FULL
from tests.forks import Finished

from .conftest import PATIENCE, Command, environment

#: An install and a dozen commands each, on a machine that may be busy.
pytestmark = pytest.mark.timeout(900)
ROOT = Path(__file__).parents[2]
#: Where nobody answers.
NOWHERE = "redis://127.0.0.1:1/0"
#: The roles' extras; PyTorch's are gigabytes, and no command tells them from a missing "train".
EXTRAS = ("", "worker", "ml", "capture", "broker", "flower")
#: Commands, and the extras that each needs.
COMMANDS = {
    "p2c2g peer probe --json": {"worker"},
    "p2c2g peer run": {"worker"},
    "p2c2g peer run --queues train": {"worker", "train", "ml"},
    "celery -A p2c2g worker -Q cpu": {"worker"},
    "celery -A p2c2g worker -Q train": {"worker", "train", "ml"},
    "celery -A p2c2g flower": {"flower"},
    "p2c2g-capture run --source screen --headless --seconds 1": {"capture"},
    "p2c2g train --game x": {"capture", "ml", "train"},
    "p2c2g train --game x --pool": {"capture", "ml"},
    "p2c2g demo": {"broker", "worker", "capture"},
    "p2c2g demo --flower": {"broker", "worker", "capture", "flower"},
}
#: What works with another extra as well: a gamer's machine looks at itself as a peer's does.
WORKS = {"capture": ("p2c2g peer probe --json",)}
#: What everybody has.
EVERYBODYS = (
    "p2c2g --version",
    "p2c2g --help",
    "p2c2g peer run --help",
    "p2c2g train --help",
    "p2c2g nets list",
    "p2c2g peers --help",
    "p2c2g simulate --peers 4 --seconds 1",
    "p2c2g-capture --version",
    "p2c2g-capture run --help",
    "celery -A p2c2g worker --help",
)


def pip(python: Path, *requirements: str) -> subprocess.CompletedProcess[str]:
    """Install into an environment, in the versions that everybody has."""
    return subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet",
         "--no-compile", "--disable-pip-version-check",
         "-c", str(ROOT / "constraints.txt"), *requirements],
        env=environment(), capture_output=True, text=True, timeout=10 * PATIENCE, check=False,
    )  # fmt: skip


class Installed:
    """One environment that has the wheel with an extra, or alone."""

    def __init__(self, folder: Path, wheel: Path, extra: str) -> None:
        self.extra = extra
        self.bin = folder / "bin"
        self._home = folder / "home"
        self._home.mkdir(parents=True)
        venv.create(folder, symlinks=True)
        # One of them from the clone, as somebody has it who builds no wheel.
        what = ROOT if extra == "flower" else wheel
        done = pip(self.python, f"{what}[{extra}]" if extra else str(what))
        if done.returncode and not FULL:
            pytest.skip(f"needs a package index: {done.stderr[-300:]}")
        assert done.returncode == 0, done.stderr

    @property
    def python(self) -> Path:
        return self.bin / "python"

    def environment(self, url: str = NOWHERE) -> dict[str, str]:
        """Return the environment of somebody who has nothing but this."""
        given = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
        path = f"{self.bin}{os.pathsep}{os.defpath}"
        return {**given, "PATH": path, "HOME": str(self._home), "P2C2G_BROKER_URL": url}

    def finish(self, words: str, url: str = NOWHERE) -> Finished:
        """Run a command to its end."""
        command, *arguments = words.split()
        done = subprocess.run(
            [self.bin / command, *arguments], env=self.environment(url), cwd=self._home,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--wheel-dir", str(folder), str(ROOT)],
        env=environment(), timeout=PATIENCE, check=True,
    )  # fmt: skip
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Installed]:
    made: dict[str, Installed] = {}

    def install(extra: str) -> Installed:
        if extra not in made:
            made[extra] = Installed(tmp_path_factory.mktemp(extra or "alone"), wheel, extra)
        return made[extra]

    return install


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as embedded:
        yield embedded


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_alone_says_which_one_a_command_needs(
    extra: str, installed: Callable[[str], Installed]
) -> None:
    here = installed(extra)
    for words, needed in COMMANDS.items():
        if needed <= {extra} or words in WORKS.get(extra, ()):
            continue  # It would work, and the test below sees some of them work.
        done = here.finish(words)
        assert done.code in (1, 2), (words, done)
        assert "Traceback" not in done.output + done.errors, (words, done)
        last = done.errors.strip().splitlines()[-1]
        assert "not installed: pip install" in last, (words, done)
        (named,) = re.findall(r'pip install "p2c2g\[([\w,]+)\]"', last)
        assert set(named.split(",")) <= needed - {extra}, (words, last)


def test_what_needs_no_extra_works_without_any(installed: Callable[[str], Installed]) -> None:
    here = installed("")
    for words in EVERYBODYS:
        done = here.finish(words)
        assert (done.code, done.errors) == (0, ""), (words, done)


def test_what_a_sentence_says_to_install_is_what_was_missing(
    installed: Callable[[str], Installed],
) -> None:
    here = installed("")
    before = here.finish("celery -A p2c2g flower")
    (asked,) = re.findall(r'pip install "(p2c2g\[\w+\])"', before.errors)
    done = pip(here.python, asked)
    assert done.returncode == 0, done.stderr
    after = here.finish("celery -A p2c2g flower --help")
    assert (after.code, "Web based tool" in after.output) == (0, True), after


def test_a_peer_and_a_gamer_who_have_only_their_own_extra_play_together(
    start: Any, installed: Callable[[str], Installed], broker: EmbeddedBroker, tmp_path: Path
) -> None:
    lender, gamer = installed("worker"), installed("capture")
    probed = lender.finish("p2c2g peer probe", broker.url)
    assert probed.code == 0, probed
    assert 'pip install "p2c2g[ml]"' in probed.output
    peer: Command = start(
        str(lender.bin / "p2c2g"), "peer", "run", "--name", "attic",
        **lender.environment(broker.url),
    )  # fmt: skip
    peer.line_with('pip install "p2c2g[ml]"')
    peer.line_with("Enrolled as attic@")
    report = tmp_path / "report.json"
    played = gamer.finish(
        "p2c2g-capture run --source pattern --size 320x180 --fps 15 --seconds 4 --headless "
        f"--wait-for 1 --deadline 5000 --report {report}",
        broker.url,
    )
    assert played.code == 0, played
    assert json.loads(report.read_text())["frames"]["complete"] > 0
