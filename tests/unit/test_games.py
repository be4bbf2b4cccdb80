"""Games: profiles, what runs, what launchers have, and what must not be touched."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from p2c2g.errors import UsageError
from p2c2g_capture.games.anticheat import look, systems
from p2c2g_capture.games.consent import hand_on
from p2c2g_capture.games.found import Window, running
from p2c2g_capture.games.libraries import installed
from p2c2g_capture.games.profile import GameProfile
from p2c2g_capture.games.programs import Machine, Program
from p2c2g_capture.games.store import ProfileStore
from p2c2g_capture.input.target import XTarget
from p2c2g_capture.sources import Source


@dataclass
class Made(Machine):
    """A machine with a made-up tree of processes."""

    runs: list[Program] = field(default_factory=list)
    lie: dict[str, list[str]] = field(default_factory=dict)

    def programs(self) -> list[Program]:
        return self.runs

    def files(self, folder: Path) -> Iterator[str]:
        yield from self.lie.get(str(folder), ())


class Screen(Source):
    name = "screen:1"

    def __init__(self, pid: int | None = None) -> None:
        self.pid = pid

    def target(self) -> XTarget:
        return XTarget(":0", window=7)


@pytest.mark.parametrize("name", ProfileStore(Path("none")).names())
def test_each_shipped_profile_is_right_and_says_what_a_gamer_needs(name: str) -> None:
    profile = ProfileStore(Path("none")).load(name)
    assert profile.title
    assert profile.kind
    assert profile.licence
    assert profile.find.programs
    assert profile.start.command
    assert profile.start.debian


def test_ten_games_at_least_are_known() -> None:
    assert len(ProfileStore(Path("none")).names()) >= 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "is no TOML"),
        ("title = 'x'", "name is missing"),
        ("name = 'x'\ncolour = 1", "colour is not known: leave it out or mend its name"),
        ("name = 'x'\n[look]\nsize = 'big'", "look.size: 'big' is not a size"),
        ("name = 'x'\n[look]\nops = 'paint'", "look.ops: "),
        ("name = 'x'\n[look]\nfps = 0", "look.fps: input should be greater than or equal to 1"),
        ("name = 'x'\n[input]\nkeys = ['Fire']", "input.keys: 'Fire' is no key"),
        ("name = 'x'\n[input.pad]\na = 'Fire'", "input.pad: 'Fire' is no key"),
        ("name = 'x'\n[input.pad]\nlever = 'KeyA'", "input.pad: 'lever' is no part of a gamepad"),
        ("name = 'x'\n[start.files]\n'../x' = ''", "start.files.../x"),
    ],
)
def test_what_is_wrong_in_a_profile_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        GameProfile.of(text, "The file")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ones_own_profile_goes_before_the_shipped_one(tmp_path: Path) -> None:
    store = ProfileStore(tmp_path)
    (tmp_path / "etr.toml").write_text('name = "etr"\ntitle = "Mine"\n')
    (tmp_path / "mine.toml").write_text('name = "other"\n')
    assert store.load("etr").title == "Mine"
    assert "mine" in store.names()
    with pytest.raises(UsageError, match="called 'other' in itself"):
        store.load("mine")
    with pytest.raises(UsageError, match=r"There is no game 'tetris': give one of .*etr"):
        store.load("tetris")
    # What is wrong hides no other.
    assert "etr" in [each.name for each in store.all()]


def test_the_game_in_front_is_named_first() -> None:
    one, two, three = (
        GameProfile.of(f"name = '{name}'\n[find]\n{find}", "it")
        for name, find in (
            ("one", "programs = ['one']"),
            ("two", "classes = ['Two']"),
            ("three", "titles = ['Three - ']"),
        )
    )
    programs = [Program(1, "one"), Program(2, "python3")]
    shown = [
        Window("play", ("two", "two"), 2, is_in_front=True),
        Window("One", ("x", "x"), 1, is_in_front=False),
    ]
    found = running([one, two, three], programs, shown)
    assert [(each.profile.name, each.pid) for each in found] == [("two", 2), ("one", 1)]
    assert found[1].window == shown[1]
    titled = [Window("Three - level 1", (), None, is_in_front=False)]
    assert [each.profile.name for each in running([three], [], titled)] == ["three"]


def test_what_launchers_have_is_listed(tmp_path: Path) -> None:
    apps = tmp_path / ".steam/steam/steamapps"
    apps.mkdir(parents=True)
    (apps / "appmanifest_1.acf").write_text(
        '"AppState"\n{\n  "appid" "1"\n  "name"\t\t"A \\"Great\\" Game"\n  "installdir" "great"\n}'
    )
    (apps / "appmanifest_2.acf").write_text('"name" "Proton 9.0"\n"installdir" "Proton"')
    (apps / "appmanifest_3.acf").write_bytes(b"\xff\x00rubbish")
    lutris = tmp_path / ".local/share/lutris"
    lutris.mkdir(parents=True)
    with closing(sqlite3.connect(lutris / "pga.db")) as database:
        database.execute("CREATE TABLE games (name TEXT, directory TEXT, installed INTEGER)")
        database.execute("INSERT INTO games VALUES ('Old Game', '/games/old', 1), ('Gone', '', 0)")
        database.commit()
    heroic = tmp_path / ".config/heroic/legendaryConfig/legendary"
    heroic.mkdir(parents=True)
    (heroic / "installed.json").write_text(
        json.dumps({"x": {"title": "Epic Game", "install_path": "/games/epic"}, "y": 3})
    )
    found = [(each.title, each.launcher, each.folder) for each in installed(tmp_path)]
    assert found == [
        ('A "Great" Game', "Steam", apps / "common/great"),
        ("Epic Game", "Heroic", Path("/games/epic")),
        ("Old Game", "Lutris", Path("/games/old")),
    ]


@pytest.mark.parametrize("broken", ["", "{", "[1, 2]", '{"a": null}', "[" * 100_000])
def test_a_launchers_file_that_is_none_is_passed_over(tmp_path: Path, broken: str) -> None:
    for path in (
        ".config/heroic/legendaryConfig/legendary/installed.json",
        ".config/heroic/gog_store/installed.json",
        ".local/share/lutris/pga.db",
        ".steam/steam/steamapps/libraryfolders.vdf",
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(broken)
    assert installed(tmp_path) == []


def test_each_known_system_is_found_by_each_of_its_processes_and_files() -> None:
    for system in systems():
        assert system.processes or system.files
        for name in system.processes:
            found = look(Made([Program(5, name.upper())]), None, systems())
            assert found is not None
            assert found.system
        for name in system.files:
            game = Program(9, "game.exe", Path("/games/it/game.exe"))
            found = look(Made([game], {"/games/it": ["data", name]}), 9, systems())
            assert found is not None
            assert name in found.by


def test_what_lies_beside_other_games_or_in_shared_folders_is_not_held_against_one() -> None:
    game = Program(9, "game", Path("/usr/games/game"))
    other = Program(8, "other.exe", Path("/games/other/other.exe"))
    machine = Made(
        [game, other],
        {"/games/other": ["EasyAntiCheat_x64.dll"], "/usr/games": ["EasyAntiCheat_x64.dll"]},
    )
    assert look(machine, 9, systems()) is None
    assert look(machine, None, systems()) is None


def test_beside_one_nothing_is_pressed_unless_the_gamer_knows() -> None:
    machine = Made([Program(5, "BEService.exe")])
    hand, said = hand_on(Screen(), "auto", None, machine=machine)
    assert hand is None
    assert said.startswith("BattlEye runs here or comes with the game (the process BEService.exe)")
    assert "Watching and recording go on" in said
    with pytest.raises(UsageError, match="Give --beside-anti-cheat if you know"):
        hand_on(Screen(), "on", None, machine=machine)
    # Nothing is looked for where nothing is to be pressed.
    assert hand_on(Screen(), "off", None, machine=machine) == (None, "")
