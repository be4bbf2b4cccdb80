"""``p2c2g release``: what an operator may get wrong is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.forks import Finished

from .conftest import finish_quickly


def release(folder: Path, *words: str, **env: str) -> Finished:
    told = [word.replace("HERE", str(folder)) for word in words]
    return finish_quickly(
        "p2c2g", "release", *told, P2C2G_COORDINATOR_DATA=str(folder / "data"), **env
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("key", "HERE/made.key"), "set P2C2G_RELEASE_PASSPHRASE"),
        (("pin", "hunter2"), "is no public key"),
        (("sign", "HERE/there", "--key=HERE/there", "--no-passphrase"), "is no wheel"),
        (("publish", "HERE/there"), "what p2c2g release sign or key has written"),
        (("stop", "--reason=x"), "no release to stop"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    there = tmp_path / "there"
    there.write_text("hello")
    there.chmod(0o600)
    done = release(tmp_path, *words)
    assert done.code == 2, done
    assert sentence in done.errors
    assert len(done.errors.splitlines()) == 1


def test_a_key_is_sealed_with_a_passphrase_that_is_shown_nowhere(tmp_path: Path) -> None:
    secret = {"P2C2G_RELEASE_PASSPHRASE": "hunter2"}
    done = release(tmp_path, "key", "HERE/release.key", **secret)
    assert done.code == 0, done
    assert len(done.output.strip()) == 44
    assert "ENCRYPTED" in (tmp_path / "release.key").read_text()
    change = release(tmp_path, "key", "HERE/new.key", "--replaces=HERE/release.key", **secret)
    assert change.code == 0, change
    assert (tmp_path / "new.key.change.json").is_file()
    assert "hunter2" not in change.output + change.errors + done.output + done.errors
    pinned = release(tmp_path, "pin", done.output.strip())
    assert pinned.code == 0, pinned
    handed = release(tmp_path, "publish", "HERE/new.key.change.json")
    assert handed.output == f"From now on releases are signed by {change.output.strip()}.\n"
    shown = release(tmp_path, "show")
    assert (shown.code, "release" in shown.output) == (0, True), shown
