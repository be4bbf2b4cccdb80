"""What may be a name, and what a label."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from p2c2g.errors import UsageError
from p2c2g.messaging.labels import MAX_NAME, MAX_REGION, Name, is_name, parse_label

NAME: TypeAdapter[str] = TypeAdapter(Name)


def is_read(text: str) -> bool:
    """Tell whether a message may have the text as a name."""
    try:
        NAME.validate_python(text)
    except ValidationError:
        return False
    return True


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
@example("")
@example("cpu1@host")
@example("two words")
@example("line\n")
@example("\x85")
@example("\u2028")
@example("\x1c")
@example("\x7f")
@example("x" * MAX_NAME)
@example("x" * (MAX_NAME + 1))
def test_messages_and_code_agree_on_what_is_a_name(text: str) -> None:
    assert is_name(text) == is_read(text)


@pytest.mark.parametrize(
    "text",
    ["*", "a*", "a?b", "[a]", "a:b", "p2c2g:x", "a/b", "a|b", "a\\b", "a%b", "~a", "a\u202eb"],
)
def test_a_name_means_nothing_in_a_keys_pattern(text: str) -> None:
    assert not is_name(text)
    with pytest.raises(ValidationError, match="letters, digits and any of"):
        NAME.validate_python(text)


@pytest.mark.parametrize(
    "text", ["celery@host", "cpu-2@web_1.example.org", "gpu@10.0.0.1", "a" * 12, "cpu1@x.dq2"]
)
def test_what_workers_are_called_is_a_name(text: str) -> None:
    assert is_name(text)


def test_a_name_has_neither_blanks_nor_control_characters() -> None:
    assert is_name("cpu1@host")
    assert is_name("größe")
    for text in ("", "two words", "a\x00b", "a\n", "\x7f", "x" * (MAX_NAME + 1)):
        assert not is_name(text)


def test_a_label_is_read_without_the_blanks_around_it() -> None:
    assert parse_label("  Anna's attic ") == "Anna's attic"
    assert parse_label("x" * MAX_NAME) == "x" * MAX_NAME


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "\x1b[2J", "x" * (MAX_REGION + 1)])
def test_a_label_that_is_none_says_what_it_should_have_been(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_label(text, MAX_REGION, "region")
    assert str(caught.value) == (
        f"{text!r} is no region: give from 1 to 64 printable characters, such as attic."
    )
