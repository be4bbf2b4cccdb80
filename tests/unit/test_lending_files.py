from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from p2c2g.commands.guest import Hours, Limits
from p2c2g.errors import UsageError
from p2c2g.lending import peer_config
from p2c2g.lending.home import VARIABLE, Home
from p2c2g.lending.peer_settings import PeerConfig, settings
from p2c2g.lending.state import State, Word

WRONG = {
    'limits.max_cpu = "lots"': "limits.max_cpu in peer.toml is 'lots': give a share",
    "limits.max_cpu = 50": "limits.max_cpu in peer.toml is 50: give a share",
    'limits.hours = "7"': "limits.hours in peer.toml is '7': give two different times",
    "limits.only_idle = 1": "limits.only_idle in peer.toml is 1: give true or false.",
    "limits.max_mbps = 0.01": "limits.max_mbps in peer.toml is 0.01: give megabits",
    "limits.max_mbps = inf": "limits.max_mbps in peer.toml is inf: give megabits",
    "limits.max_mbps = -1": "limits.max_mbps in peer.toml is -1: give megabits",
    'limits.max_mpbs = "x"': "limits.max_mpbs in peer.toml is no setting: did you mean limits.max_",
    "limit.max_cpu = 1": "limit in peer.toml is no setting: did you mean limits?",
    "zzz.q = 1": "zzz in peer.toml is no setting: there are pool, peer, limits, page, updates.",
    "limits = 1": "limits in peer.toml has to be a table of settings, which begins with [limits].",
    "peer.slots = 257": "peer.slots in peer.toml is 257: give chunks at once from 1 to 256",
    "peer.slots = true": "peer.slots in peer.toml is true: give chunks at once",
    'peer.name = ""': "peer.name in peer.toml is '': give a name",
    'peer.queues = ["cpu", "gpus"]': "peer.queues in peer.toml is ['cpu', 'gpus']: give one or",
    "peer.queues = [1]": "peer.queues in peer.toml is 1: give one or more",
    'pool.join = "http://pool.example"': "pool.join in peer.toml is 'http://pool.example': give",
    "page.port = 65536": "page.port in peer.toml is 65536: give a port",
    "page = [": "peer.toml is no TOML (",
}


def test_a_new_file_says_what_each_setting_is_and_is_read_back(tmp_path: Path) -> None:
    config = PeerConfig.of({"peer.name": "attic", "limits.max_cpu": "50%", "limits.max_mbps": 2.5})
    path = tmp_path / "peer.toml"
    peer_config.write(path, config)
    assert peer_config.read(path) == config
    text = path.read_text()
    for name, field in settings():
        assert f"# {field.description}\n{name.partition('.')[2]} = " in text
    assert config.limits.limits() == Limits(max_cpu=0.5, max_mbps=2.5)


def test_what_stands_around_a_setting_stays(tmp_path: Path) -> None:
    path = tmp_path / "peer.toml"
    path.write_text('# mine\n[limits]\nhours = "22-7" # at night\n\n# and this\n')
    config = peer_config.change(path, {"limits.hours": "23-6", "peer.name": "attic"})
    assert config.limits.limits().hours == Hours(23 * 60, 6 * 60)
    text = path.read_text()
    assert '# mine\n[limits]\nhours = "23-6" # at night\n\n# and this\n' in text
    assert peer_config.read(path).peer.name == "attic"


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_one_sentence_that_says_what_would_be_right(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        peer_config.parse(line)
    assert str(caught.value).startswith(WRONG[line])
    assert str(caught.value).endswith((".", "?"))
    assert "\n" not in str(caught.value)


def test_a_wrong_change_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "peer.toml"
    peer_config.write(path, PeerConfig())
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"^limits\.max_cpu is '0%': give a share"):
        peer_config.change(path, {"limits.max_cpu": "0%"})
    with pytest.raises(UsageError, match=r"^limits\.cpu is no setting"):
        peer_config.change(path, {"limits.cpu": "10%"})
    assert path.read_bytes() == before


def test_where_there_is_no_file_the_sentence_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"start with p2c2g peer init\.$"):
        peer_config.read(tmp_path / "peer.toml")
    huge = tmp_path / "huge.toml"
    huge.write_bytes(b"#" * (peer_config.MOST + 1))
    with pytest.raises(UsageError, match="no configuration of a peer"):
        peer_config.read(huge)


def test_a_home_is_named_by_its_whole_path(tmp_path: Path) -> None:
    assert Home.find({VARIABLE: str(tmp_path)}).root == tmp_path
    assert Home.find({}).is_usual
    for wrong in ("here", str(Path(__file__))):
        with pytest.raises(UsageError, match="give the whole path of a folder"):
            Home.find({VARIABLE: wrong})


def test_the_version_that_is_used_is_changed_in_one_step(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    assert home.current_version() is None
    for version in ("0.1.0", "0.2.0"):
        (home.venv(version) / "bin").mkdir(parents=True)
        home.switch(version)
        assert home.current_version() == version
    assert home.current.resolve() == home.venv("0.2.0").resolve()
    with pytest.raises(UsageError, match="no environment of version 9"):
        home.switch("9")
    for wrong in ("", "..", "a/b", "../x"):
        with pytest.raises(UsageError, match="is no version"):
            home.venv(wrong)
    assert sorted(each.name for each in home.root.iterdir()) == ["current", "log", "venvs"]


def test_an_environment_that_lies_elsewhere_outlives_the_home(tmp_path: Path) -> None:
    elsewhere = tmp_path / "pipx" / "bin"
    elsewhere.mkdir(parents=True)
    (elsewhere / "p2c2g").touch()
    home = Home(tmp_path / "home")
    for _ in range(2):
        home.adopt(elsewhere.parent, "0.1.0")
    assert home.program().exists()
    assert home.program(version="0.1.0").samefile(elsewhere / "p2c2g")
    home.remove()
    home.remove()
    assert not home.root.exists()
    assert (elsewhere / "p2c2g").exists()


def test_a_state_is_read_back_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert State.read(path) is None
    state = State(pid=7, version="0.1.0", word=Word.PAUSED, why="night", written=100.0, chunks=3)
    state.write(path)
    assert State.read(path) == state
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert state.is_fresh(101.0)
    assert not state.is_fresh(200.0)
    assert not state.model_copy(update={"word": Word.ENDED}).is_fresh(101.0)
    path.write_text("{")
    assert State.read(path) is None
