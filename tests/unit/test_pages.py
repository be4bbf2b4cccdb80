"""What pages name is there: tests, files, other pages and their headings."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("training/*.md")])
}
FOLDERS = ("p2c2g", "workers", "capture", "training", "tests", "benchmarks", "fuzz", "docs")
FILES = [
    path.relative_to(ROOT).as_posix()
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".lua", ".js", ".md")
] + [name for name in PAGES if "/" not in name]
DEFINED = re.compile(r"^ *(?:async )?def (test_\w+)", re.MULTILINE)
TESTS = {
    name
    for file in FILES
    if Path(file).name.startswith("test_") and file.endswith(".py")
    for name in DEFINED.findall((ROOT / file).read_text())
}
#: Celery's own, which docs/performance.md says were run over our transport.
CELERYS = {"test_worker", "test_inspect", "test_group_chains", "test_canvas", "test_tasks"}


def heading(text: str) -> str:
    """Return by what a link names a heading, as the hosts of repositories do."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_each_test_that_a_page_names_is_there(page: str) -> None:
    """A name may be cut short, with … behind it."""
    for name, cut in re.findall(r"`(test_\w+)(…?)`", PAGES[page]):
        if cut:
            assert any(each.startswith(name) for each in TESTS), name
        else:
            assert name in TESTS | CELERYS, name


@pytest.mark.parametrize("page", PAGES)
def test_each_file_that_a_page_names_is_there(page: str) -> None:
    """Of a file of ours the end of its path is enough; … is the workers' package."""
    for named in re.findall(r"`([\w./…*]+\.(?:py|lua|js|md))`", PAGES[page]):
        end = "/" + named.replace("…/", "workers/p2c2g_workers/")
        if "*" in end:
            assert list(ROOT.glob(f"**{end}")), named
        else:
            assert any(f"/{file}".endswith(end) for file in FILES), named


@pytest.mark.parametrize("page", PAGES)
def test_each_link_to_a_page_leads_to_it(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if link.startswith(("https:", "http:")):
            continue
        file, _, part = link.partition("#")
        target = ((ROOT / page).parent / file).resolve() if file else ROOT / page
        assert target.exists(), link
        if part:
            found = PAGES[target.relative_to(ROOT).as_posix()]
            assert part in map(heading, re.findall(r"^#+ (.*)$", found, re.MULTILINE)), link


def test_make_audit_runs_what_the_page_on_security_names() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "audit"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    runs = set(re.findall(r"tests/[\w/]+\.py", done.stdout))
    assert [path for path in sorted(runs) if not (ROOT / path).is_file()] == []
    page = PAGES["docs/security.md"]
    named = set(re.findall(r"`(test_\w+)`", page))
    tests = {file: (ROOT / file).read_text() for file in FILES if file.startswith("tests/")}
    files = {file for file in tests if named & set(DEFINED.findall(tests[file]))}
    assert sorted((files | set(re.findall(r"tests/[\w/]+\.py", page))) - runs) == []
