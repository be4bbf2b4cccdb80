"""Files that are ours to write: whole or not at all, whatever stands in the way."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from p2c2g.system import files


def broken(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for data in ("one", b"two", "größer", ""):
        files.write_whole(path, data)
        assert path.read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("breaks", ["fsync", "fchmod"])
def test_a_full_disk_leaves_the_earlier_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    path = tmp_path / "report.json"
    path.write_text("earlier")
    monkeypatch.setattr(os, breaks, broken)
    if breaks == "fchmod":  # Not every file system has permissions.
        files.write_whole(path, "new")
        assert path.read_text() == "new"
        return
    with pytest.raises(OSError, match="No space"):
        files.write_whole(path, "new")
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_belong_together_are_replaced_once_all_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, card = tmp_path / "net.onnx", tmp_path / "net.json"
    files.write_together({net: b"net 1", card: "card 1"})
    real, calls = os.fsync, []

    def second_breaks(descriptor: int) -> None:
        calls.append(descriptor)
        broken() if len(calls) == 2 else real(descriptor)

    monkeypatch.setattr(os, "fsync", second_breaks)
    with pytest.raises(OSError, match="No space"):
        files.write_together({net: b"net 2", card: "card 2"})
    assert (net.read_bytes(), card.read_text()) == (b"net 1", "card 1")
    assert set(tmp_path.iterdir()) == {net, card}


def test_a_link_is_followed_and_permissions_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "real.json", tmp_path / "link.json"
    path.write_text("earlier")
    path.chmod(0o640)
    link.symlink_to(path)
    files.write_whole(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_the_permissions_that_are_usual_here(tmp_path: Path) -> None:
    usual, path = tmp_path / "usual", tmp_path / "new"
    usual.write_text("")
    files.write_whole(path, "")
    assert path.stat().st_mode == usual.stat().st_mode


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.write_whole(pipe, "through it")
        assert os.read(reader, 100) == b"through it"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    files.write_whole(Path(os.devnull), "gone")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    with pytest.raises(OSError, match="Invalid argument"):
        files.new_partial(pipe)


def test_standard_output_may_be_a_pipe() -> None:
    program = """
from pathlib import Path
from p2c2g.system.files import write_whole
write_whole(Path("/dev/stdout"), "through it")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert done.stdout == b"through it", done.stderr
    assert stat.S_ISLNK(Path("/dev/stdout").lstat().st_mode)


def test_the_longest_name_that_a_disk_takes_can_be_written(tmp_path: Path) -> None:
    for name in ("n" * 255, "ä" * 125 + ".json"):
        files.write_whole(tmp_path / name, "whole")
        assert (tmp_path / name).read_text() == "whole"
    path = tmp_path / ("ö" * 125 + ".mp4")
    partial = files.new_partial(path)
    assert partial.name.endswith(".partial.mp4")
    files.finish(partial, path)
    assert path.exists()


def test_a_partial_file_takes_no_others_place_until_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "play.mp4"
    path.write_bytes(b"earlier")
    names = []
    for _ in range(3):
        names.append(files.new_partial(path))
        names[-1].write_bytes(str(names[-1]).encode())
    assert [name.name for name in names] == [
        "play.partial.mp4", "play.partial-2.mp4", "play.partial-3.mp4"
    ]  # fmt: skip
    assert path.read_bytes() == b"earlier"
    files.finish(names[1], path)
    assert path.read_bytes() == str(names[1]).encode()
    assert set(tmp_path.iterdir()) == {path, names[0], names[2]}


def test_a_path_that_cannot_be_written_is_refused_before_and_nothing_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "play.mp4"
    path.write_text("earlier")
    files.check_replaceable(path)
    files.check_replaceable(tmp_path / "new.mp4")
    for wrong, sentence in (
        (tmp_path, "Is a directory"),
        (tmp_path / "missing" / "play.mp4", "No such file or directory"),
        (path / "play.mp4", "Not a directory"),
    ):
        with pytest.raises(OSError, match=sentence):
            files.check_replaceable(wrong)
    for protected in (path, tmp_path):  # Root is let through all the same.
        monkeypatch.setattr(os, "access", lambda asked, mode, it=protected: Path(asked) != it)
        with pytest.raises(PermissionError):
            files.check_replaceable(path)
    assert list(tmp_path.iterdir()) == [path]


def test_two_names_of_one_file_are_the_same_there_or_not(tmp_path: Path) -> None:
    path, link, hard = tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4"
    link.symlink_to(path)
    assert files.are_same(path, link)  # Neither is there yet.
    assert files.are_same(tmp_path / "x" / ".." / "a.mp4", path)
    assert not files.are_same(path, hard)
    path.write_text("a")
    hard.hardlink_to(path)
    assert files.are_same(path, link)
    assert files.are_same(path, hard)
    assert not files.are_same(path, tmp_path / "d.mp4")
