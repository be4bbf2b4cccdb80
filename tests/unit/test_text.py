"""Strangers' text: on one line, obeyed by nothing, markup for nobody."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from p2c2g.commands.console import new_console
from p2c2g.session.report import write_report
from p2c2g.session.tally import Tally
from p2c2g.text import all_plain, plain
from p2c2g_capture.terminal import summary

ROOT = Path(__file__).parents[2]
ANYTHING = st.text(st.characters())
NASTY = "[/x] [bold]\x1b[2J\x07\n\u202egnp.exe :boom:"


@given(ANYTHING)
def test_a_plain_text_is_one_line_of_what_is_seen(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 漢字 [/x]", "größe 漢字 [/x]"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\r\nb\u2028c", "a\\r\\nb\\u2028c"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("\udc80", "\\udc80"),
    ],
)
def test_what_is_not_seen_is_named(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_it_takes_no_more_letters_than_it_is_told() -> None:
    assert plain("\x1b" * 9, 2) == "\\x1b\\x1b"


@given(st.recursive(ANYTHING | st.none() | st.integers(), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(ANYTHING, inner, max_size=3), max_leaves=9))  # fmt: skip
def test_of_a_whole_value_every_text_is_plain(value: object) -> None:
    def texts(of: object) -> list[str]:
        if isinstance(of, dict):
            return [text for pair in of.items() for each in pair for text in texts(each)]
        return [t for each in of for t in texts(each)] if isinstance(of, list) else [str(of)]

    assert all(text.isprintable() for text in texts(all_plain(value)))


@given(ANYTHING)
def test_no_text_is_markup_on_a_console_of_ours(text: str) -> None:
    console = new_console(file=io.StringIO(), width=10_000)
    console.print(text)
    table = Table(title=text)
    table.add_row(text)
    console.print(table)


def test_a_peers_errors_end_neither_the_summary_nor_the_report(tmp_path: Path) -> None:
    report = Tally().summary()
    report |= {
        "errors": {NASTY: 3},
        "ran": {NASTY: 2},
        "notices": [{"at_s": 0.0, "said": NASTY}],
        "peers": [{"id": NASTY, "queue": NASTY, "chunks": 1, "ms": {"p50": 1.0, "p99": 2.0}}],
    }
    # Whatever console it is printed to.
    for console in (Console(file=io.StringIO(), width=200), new_console(file=io.StringIO())):
        console.print(summary(report))
        assert isinstance(console.file, io.StringIO)
        said = console.file.getvalue()
        assert "[/x] [bold]\\x1b[2J\\x07\\n\\u202e" in said.replace("\n", "")
        assert "\x1b" not in said
        assert "\u202e" not in said
    write_report(tmp_path / "r.json", report)
    assert list(json.loads((tmp_path / "r.json").read_text())["errors"]) == [plain(NASTY)]


def test_every_command_prints_to_a_console_of_ours() -> None:
    """A plain ``Console`` takes square brackets for markup."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("p2c2g", "workers", "capture", "training")
        for path in (ROOT / folder).rglob("*.py")
        if "tests" not in path.parts and path.name != "console.py"
        for line in path.read_text().splitlines()
        if re.search(r"\bConsole\(|rich import print|isprintable\(\) else", line)
        and path.name != "text.py"
    ]
    assert found == []
