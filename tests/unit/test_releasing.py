"""Releases: what is checked of one before it is put out, and the workflows that do it."""

from __future__ import annotations

import io
import json
import re
import runpy
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import p2c2g

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
CHECKER = runpy.run_path(str(ROOT / ".ci/release.py"))
CHANGELOG = """# Changelog

## 0.3.0 (unreleased)
### Peers
- New.

## 0.2.0 (2027-01-31)
### Peers
- Old.

## 0.1.0 (2026-12-24)
"""


def built(folder: Path, wheel: str, sdist: str, inside: str = "") -> Path:
    """Make files as a build does, which say of themselves that they are of a version."""
    dist = folder / "dist"
    dist.mkdir()
    with zipfile.ZipFile(dist / f"p2c2g-{wheel}-py3-none-any.whl", "w") as file:
        told = f"Metadata-Version: 2.4\nName: p2c2g\nVersion: {inside or wheel}\n"
        file.writestr(f"p2c2g-{wheel}.dist-info/METADATA", told)
    with tarfile.open(dist / f"p2c2g-{sdist}.tar.gz", "w:gz") as tar:
        data = f"Version: {sdist}\n".encode()
        entry = tarfile.TarInfo(f"p2c2g-{sdist}/PKG-INFO")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return dist


def check(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    changelog = folder / "CHANGELOG.md"
    changelog.write_text(CHANGELOG)
    arguments = [f"--dist={folder / 'dist'}", f"--changelog={changelog}", *words]
    code = CHECKER["main"](arguments)
    return code, "".join(capsys.readouterr())


def test_one_release_has_its_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built(tmp_path, "0.2.0", "0.2.0")
    notes, sbom = tmp_path / "notes.md", tmp_path / "sbom.json"
    told = {"bomFormat": "CycloneDX", "components": [{}], "metadata": {"component": {}}}
    sbom.write_text(json.dumps(told))
    code, said = check(tmp_path, capsys, "--tag=v0.2.0", f"--notes={notes}", f"--sbom={sbom}")
    assert (code, said) == (0, "0.2.0 (2027-01-31): wheel, sdist and changelog agree.\n")
    assert notes.read_text() == "### Peers\n- Old.\n"
    assert json.loads(sbom.read_text())["metadata"]["component"]["version"] == "0.2.0"


@pytest.mark.parametrize(
    ("files", "words", "why"),
    [
        (("0.2.0", "0.3.0"), (), "of different versions: ['0.2.0', '0.3.0']"),
        (("0.2.0", "0.2.0", "0.1.0"), (), "of different versions: ['0.1.0', '0.2.0']"),
        (("0.2.0", "0.2.0"), ("--tag=v0.2.1",), "The tag is v0.2.1, and what was built is 0.2.0"),
        (("0.3.0", "0.3.0"), ("--tag=v0.3.0",), "has 0.3.0 as unreleased"),
        (("0.4.0", "0.4.0"), (), "has no section ## 0.4.0"),
        (("0.1.0", "0.1.0"), (), "section of 0.1.0 has no part"),
    ],
)
def test_what_is_not_one_release_is_a_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    files: tuple[str, ...],
    words: tuple[str, ...],
    why: str,
) -> None:
    built(tmp_path, *files)
    code, said = check(tmp_path, capsys, *words)
    assert code == 1
    assert why in said
    assert said.count("\n") == 1


def test_what_was_not_built_is_no_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = check(tmp_path, capsys)
    assert (code, "0 wheels and 0 sdists" in said) == (1, True)


def test_the_changelog_tells_of_the_version_that_is_built_without_a_tag() -> None:
    scheme = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["version"]
    version = scheme["raw-options"]["fallback_version"]
    when, text = CHECKER["section"]((ROOT / "CHANGELOG.md").read_text(), version)
    assert when == "unreleased"
    assert "### " in text


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
        cwd=folder, check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def test_the_version_is_the_tags_and_without_any_the_next_ones(tmp_path: Path) -> None:
    (tmp_path / "p2c2g").mkdir()
    for name in ("README.md", "LICENSE", "p2c2g/__init__.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())

    def version() -> str:
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "version"], cwd=tmp_path, capture_output=True,
            text=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout.strip()

    assert version() == "0.1.0"  # No repository.
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    assert version() == "0.1.0"  # A clone without tags.
    git(tmp_path, "tag", "v7.8.9")
    assert version() == "7.8.9"


def test_what_is_not_installed_has_no_version_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert p2c2g.__version__ == "0+unknown"


# -- workflows --------------------------------------------------------------------------------


def test_zizmor_finds_nothing_in_the_workflows() -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("zizmor")), "--offline", "--pedantic",
            "--no-progress", f"--config={ROOT / '.github/zizmor.yml'}", str(ROOT / ".github"),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_action_is_pinned_by_its_commit_and_says_its_version(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)$", path.read_text(), re.M)
    assert used
    for action, comment in used:
        if action.startswith("./"):
            assert (ROOT / action).is_file()
            continue
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), (action, comment)


def test_each_version_of_an_action_is_one_commit() -> None:
    known: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for action, commit in re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40})", path.read_text()):
            known.setdefault(action, set()).add(commit)
    assert all(len(commits) == 1 for commits in known.values()), known


def test_the_tests_run_on_each_python_that_is_promised() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    promised = {
        each.rpartition(" ")[2]
        for each in project["classifiers"]
        if re.search(r":: Python :: 3\.\d+$", each)
    }
    tested = re.search(r"python: \[(.*)\]", (ROOT / ".github/workflows/test.yml").read_text())
    assert tested
    assert set(re.findall(r"[\d.]+", tested[1])) == promised
