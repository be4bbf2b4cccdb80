"""Weights by their hash: what is kept, what is asked for, and what is left alone for a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from p2c2g.errors import BrokerUnavailableError
from p2c2g.media.hashes import name_of
from p2c2g_workers import fetching, nets
from p2c2g_workers.fetching import (
    BURST,
    FIRST_PAUSE,
    MAX_FILES,
    MAX_WAITING,
    Cache,
    Fetcher,
)
from p2c2g_workers.processors import network
from tests.nets import model

pytestmark = pytest.mark.skipif(network.MISSING, reason="needs onnx: pip install 'p2c2g[ml]'")

PATIENCE = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# -- files ---------------------------------------------------------------------------------------


def test_a_kept_file_is_had_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "nets")
    file = model()
    assert cache.get(name_of(file)) is None
    cache.put(file)
    assert cache.get(name_of(file)) == file
    assert [path.name for path in (tmp_path / "nets").iterdir()] == [f"{name_of(file)}.onnx"]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + bytes(1 << 20),
                                    lambda data: b"\0" + data[1:], lambda _: b""])  # fmt: skip
def test_a_damaged_file_is_thrown_away(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    cache, file = Cache(tmp_path), model()
    cache.put(file)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(file))
    assert cache.get(name_of(file)) is None
    assert not path.exists()
    cache.put(file)
    assert cache.get(name_of(file)) == file


def test_the_file_used_longest_ago_makes_room(tmp_path: Path) -> None:
    clock = Clock()
    cache = Cache(tmp_path, clock)
    files = [b"%d" % number for number in range(MAX_FILES + 2)]
    for file in files[:MAX_FILES]:
        clock.now += 1
        cache.put(file)
    clock.now += 1
    assert cache.get(name_of(files[0])) == files[0]
    for file in files[MAX_FILES:]:
        clock.now += 1
        cache.put(file)
    assert len(list(tmp_path.iterdir())) == MAX_FILES
    gone = [file for file in files if cache.get(name_of(file)) is None]
    assert gone == files[1:3]


def test_what_was_never_finished_is_removed_in_time(tmp_path: Path) -> None:
    clock = Clock()
    cache = Cache(tmp_path, clock)
    old, young = tmp_path / "a.part", tmp_path / "b.part"
    for path, at in ((old, clock.now), (young, clock.now + 3600)):
        path.write_bytes(b"half")
        os.utime(path, (at, at))
    clock.now += 3601
    cache.put(model())
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize("name", ["", "../../../etc/passwd", "0" * 31, "0" * 33, "A" * 32,
                                  "0" * 31 + "/", "０" * 32, "0" * 32 + "\n"])  # fmt: skip
def test_only_digits_of_a_hash_become_a_file_s_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no net's name"):
        Cache(tmp_path).get(name)


def test_a_folder_that_cannot_be_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"a file")
    cache = Cache(tmp_path / "taken" / "nets")
    cache.put(model())
    assert cache.get(name_of(model())) is None


# -- fetching ------------------------------------------------------------------------------------


class Broker:
    """Gives what it was given, one at a time; can be held up and can fail."""

    def __init__(self, *files: bytes) -> None:
        self.files = {name_of(file): file for file in files}
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.inside = 0
        self.most = 0
        self.entered = threading.Event()

    def get(self, name: str) -> bytes | None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.asked.append(name)
        self.entered.set()
        assert self.open.wait(PATIENCE)
        self.inside -= 1
        if self.error is not None:
            raise self.error
        return self.files.get(name)


class Peer:
    """A fetcher and what it was given."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.clock = Clock()
        self.held: list[str] = []
        self.cache = Cache(folder)
        self.fetcher = Fetcher(
            broker.get, self.cache, lambda weights: self.held.append(weights.name), self.clock
        )

    def want(self, *names: str) -> list[str]:
        """Want them, wait until that has ended, and return what is held."""
        self.fetcher.want(names)
        assert self.fetcher.join(PATIENCE)
        return self.held


def test_weights_are_fetched_held_and_kept(tmp_path: Path) -> None:
    file = model()
    broker = Broker(file)
    peer = Peer(broker, tmp_path)
    assert peer.want(name_of(file)) == [name_of(file)]
    assert peer.cache.get(name_of(file)) == file
    # Dropped from memory meanwhile, it comes from the disk: here and in another worker.
    assert peer.want(name_of(file)) == 2 * [name_of(file)]
    assert Peer(broker, tmp_path).want(name_of(file)) == [name_of(file)]
    assert broker.asked == [name_of(file)]


def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    file = model()
    broker = Broker(file)
    peer = Peer(broker, tmp_path)
    peer.cache.put(file)
    (tmp_path / f"{name_of(file)}.onnx").write_bytes(b"damaged")
    assert peer.want(name_of(file)) == [name_of(file)]
    assert broker.asked == [name_of(file)]
    assert peer.cache.get(name_of(file)) == file


def test_what_cannot_be_had_is_left_alone_for_a_while(tmp_path: Path) -> None:
    file = model()
    broker = Broker()
    peer = Peer(broker, tmp_path)
    for _ in range(50):
        assert peer.want(name_of(file)) == []
    assert broker.asked == [name_of(file)]
    broker.files[name_of(file)] = file
    peer.clock.now += FIRST_PAUSE
    assert peer.want(name_of(file)) == [name_of(file)]


def test_a_broker_that_is_away_is_asked_again_later(tmp_path: Path) -> None:
    file = model()
    broker = Broker(file)
    broker.error = BrokerUnavailableError()
    peer = Peer(broker, tmp_path)
    assert peer.want(name_of(file)) == []
    broker.error = None
    assert peer.want(name_of(file)) == []
    peer.clock.now += FIRST_PAUSE
    assert peer.want(name_of(file)) == [name_of(file)]


def test_what_is_no_net_is_neither_held_nor_kept(tmp_path: Path) -> None:
    broker = Broker(b"a picture, perhaps")
    peer = Peer(broker, tmp_path)
    assert peer.want(name_of(b"a picture, perhaps")) == []
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_somebody_else_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = model()
    broker = Broker(file)
    broker.error = RuntimeError("a bug")
    peer = Peer(broker, tmp_path)
    assert peer.want("0" * 32) == []
    assert "a bug" in caplog.text
    broker.error = None
    assert peer.want(name_of(file)) == [name_of(file)]


def test_one_at_a_time_and_never_twice(tmp_path: Path) -> None:
    files = [model(seed=seed) for seed in range(3)]
    names = [name_of(file) for file in files]
    broker = Broker(*files)
    broker.open.clear()
    peer = Peer(broker, tmp_path)
    for _ in range(20):
        peer.fetcher.want(names)
    assert broker.entered.wait(PATIENCE)
    threads = [threading.Thread(target=peer.fetcher.want, args=(names,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    broker.open.set()
    assert peer.fetcher.join(PATIENCE)
    assert peer.held == names
    assert broker.asked == names
    assert broker.most == 1


def test_a_flood_of_names_is_not_taken(tmp_path: Path) -> None:
    broker = Broker()
    broker.open.clear()
    peer = Peer(broker, tmp_path)
    for number in range(1000):
        peer.fetcher.want([f"{number:032x}"])
    assert len(peer.fetcher._waiting) == MAX_WAITING
    broker.open.set()
    assert peer.fetcher.join(PATIENCE)
    assert broker.asked == [f"{number:032x}" for number in range(MAX_WAITING)]
    assert not peer.fetcher._waiting


def test_a_peer_does_not_load_nets_all_day(tmp_path: Path) -> None:
    """Each is sound, and put there by who sends the chunks."""
    files = [model(seed=seed) for seed in range(BURST + 4)]
    broker = Broker(*files)
    peer = Peer(broker, tmp_path)
    for file in files:
        peer.want(name_of(file))
    names = [name_of(file) for file in files]
    assert peer.held == names[:BURST]
    # What is here already costs the broker nothing, and is had.
    assert peer.want(names[0]) == [*names[:BURST], names[0]]
    peer.clock.now += FIRST_PAUSE
    assert peer.want(names[BURST])[-1] == names[BURST]
    assert broker.asked == names[: BURST + 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = fetching._process
    monkeypatch.setattr(fetching, "_process", mine)
    fetching._renew()
    assert fetching._process is not mine


def test_the_process_s_fetcher_gives_to_those_who_run_nets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = model(seed=5)
    monkeypatch.setattr(nets, "_held", nets.Held())
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path))
    monkeypatch.setattr(fetching, "_process", fetching._Process())
    Cache().put(file)
    assert name_of(file) not in nets._held
    nets.want((name_of(file),))
    assert fetching._process.fetcher().join(PATIENCE)
    assert name_of(file) in nets._held
