"""What a peer takes of what it is offered: signatures, numbers, versions, dates, and stages."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.errors import UpdateError, UsageError
from p2c2g.updating.acceptance import Own, Trusted, decide
from p2c2g.updating.manifest import MAX_ENVELOPE, KeyChange, Manifest, Offer, Result, Wheel
from p2c2g.updating.signing import ReleaseKey, opened, signed
from p2c2g.updating.staging import Reported, is_chosen, why_stop
from tests.releases import DAY, NOW, change, manifest, offer, release_key, wheel

OWN = Own("pattic", "0.1.0", "3.11.2")


def trusted(key: str = "first", **fields: Any) -> Trusted:
    return Trusted(pinned=release_key().public, key=release_key(key).public, **fields)


# -- what is taken ----------------------------------------------------------------------------


def test_a_newer_release_that_is_signed_is_wanted() -> None:
    decision = decide(offer(manifest(serial=7)), trusted(serial=6), OWN, NOW)
    assert decision.wanted
    assert decision.trusted.serial == 7
    # What was seen once is wanted again, until it is there.
    assert decide(offer(manifest(serial=7)), decision.trusted, OWN, NOW).wanted


@pytest.mark.parametrize(
    ("own", "fields", "why"),
    [
        ({"version": "0.2.0"}, {}, "runs 0.2.0, the newest"),
        ({"failed": frozenset({wheel().sha256})}, {}, "did not work here"),
        ({}, {"python": ">=3.13"}, "needs Python >=3.13, and this machine has 3.11.2"),
        ({}, {"share": 0.0}, "is given to 0 % of all machines first"),
        ({}, {"version": "0.0.9"}, "older than 0.1.0, which this machine runs"),
        ({}, {"version": "0.1.0rc1"}, "older than 0.1.0"),
        ({}, {"issued": NOW - 9 * DAY, "expires": NOW}, "has expired"),
        ({}, {"issued": NOW + 2 * DAY}, "of a day to come"),
    ],
)
def test_what_is_not_wanted_now_is_a_sentence(
    own: dict[str, Any], fields: dict[str, Any], why: str
) -> None:
    told = Own(**({"peer": "pattic", "version": "0.1.0", "python": "3.11.2"} | own))
    decision = decide(offer(manifest(**fields)), trusted(), told, NOW)
    assert not decision.wanted
    assert why in decision.why
    # It was said all the same, and what was said before it counts no more.
    assert decision.trusted.serial == 1


def test_where_nothing_is_offered_there_is_nothing_to_do() -> None:
    assert not decide(Offer(), trusted(), OWN, NOW).wanted


@pytest.mark.parametrize(
    ("fields", "known", "why"),
    [
        ({"serial": 5}, {"serial": 6}, "the number 5, older than 6"),
        ({"serial": 6}, {"serial": 6, "digest": "0" * 64}, "Two releases have the number 6"),
    ],
)
def test_what_must_not_be_believed_is_refused(
    fields: dict[str, Any], known: dict[str, Any], why: str
) -> None:
    with pytest.raises(UpdateError, match=why):
        decide(offer(manifest(**fields)), trusted(**known), OWN, NOW)


# -- signatures -------------------------------------------------------------------------------


def altered(text: str, **fields: Any) -> str:
    told = json.loads(text)
    told.update(fields)
    return json.dumps(told)


GOOD = signed(manifest(), release_key())
PAYLOAD = json.loads(GOOD)["payload"]
OTHER = json.loads(signed(manifest("0.9.0"), release_key()))["payload"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (signed(manifest(), release_key("another")), "not signed by the key"),
        (altered(GOOD, payload=OTHER), "not signed by the key"),
        (altered(GOOD, payloadType="text/plain"), "not signed by the key"),
        (altered(GOOD, signatures=[]), "not signed by the key"),
        (altered(GOOD, signatures=json.loads(GOOD)["signatures"] * 3), "is none"),
        (altered(GOOD, signatures=[{}]), "is none"),
        (altered(GOOD, signatures={}), "not signed"),
        (altered(GOOD, signatures=7), "is none"),
        (altered(GOOD, payload=7), "is none"),
        ("{}", "is none"),
        ("[]", "is none"),
        ("", "is none"),
        ("[" * 9_000, "is none"),
        (" " * (MAX_ENVELOPE + 1), "too long"),
    ],
)
def test_an_envelope_that_is_wrong_is_refused_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(UpdateError, match=why):
        opened(text, Manifest, release_key().public)


def test_a_change_of_the_key_is_no_release_and_the_other_way_round() -> None:
    with pytest.raises(UpdateError, match="says something else"):
        opened(change(1, "first", "second"), Manifest, release_key().public)
    with pytest.raises(UpdateError, match="says something else"):
        opened(GOOD, KeyChange, release_key().public)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_release_or_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(UpdateError):
        opened(data.decode(errors="replace"), Manifest, release_key().public)


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="ascii"))
def test_one_letter_more_or_less_says_the_same_or_is_refused(place: int, letter: str) -> None:
    try:
        found = opened(GOOD[:place] + letter + GOOD[place + 1 :], Manifest, release_key().public)
    except UpdateError:
        return
    assert found == manifest()


def test_what_is_long_costs_nothing_before_it_is_refused() -> None:
    text = "[" * (8 << 20)
    tracemalloc.start()
    with pytest.raises(UpdateError):
        opened(text, Manifest, release_key().public)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


# -- what a manifest may say ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../p2c2g-1.0-py3-none-any.whl", "-e-1.0-py3-none-any.whl", "p2c2g.tar.gz", "p2c2g.whl",
     "a/p2c2g-1.0-py3-none-any.whl", "p2c2g-1.0-py3-none-any.whl\n", ".p-1.0-py3-none-any.whl"],
)  # fmt: skip
def test_a_wheels_name_is_a_files_and_nothing_else(name: str) -> None:
    with pytest.raises(ValueError, match="no wheel's name"):
        Wheel(name=name, sha256="0" * 64, size=1)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"wheels": (wheel("0.1.0"),)}, "of its version"),
        ({"wheels": (wheel(project="other"),)}, "of its version"),
        ({"wheels": (wheel(), wheel())}, "of its version"),
        ({"wheels": (wheel(), wheel(project="a"), wheel("0.1.0", "a"))}, "of one project"),
        ({"expires": NOW}, "expires before"),
        ({"version": "00.2.0"}, "no version"),
        ({"version": "v0.2.0"}, "no version"),
        ({"python": "three"}, "no versions of Python"),
        ({"note": "two\nlines"}, "pattern"),
    ],
)
def test_a_manifest_agrees_with_itself(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        manifest(**fields)


# -- the key changes --------------------------------------------------------------------------

CHAIN = (change(1, "first", "second"), change(2, "second", "third"))


def test_a_key_is_handed_on_and_who_missed_a_change_follows_all_of_them() -> None:
    decision = decide(offer(manifest(), "third", *CHAIN), trusted(), OWN, NOW)
    assert decision.wanted
    assert decision.trusted == trusted("third", changes=2, serial=1, digest=decision.trusted.digest)
    # Who has followed them need not again, and the earlier keys sign nothing more.
    later = offer(manifest(serial=2), "third", *CHAIN[1:])
    assert decide(later, decision.trusted, OWN, NOW).wanted
    for key in ("first", "second"):
        with pytest.raises(UpdateError, match="not signed by the key"):
            decide(offer(manifest(serial=2), key, *CHAIN), decision.trusted, OWN, NOW)


def test_a_key_that_nobody_handed_on_is_refused() -> None:
    old, new = release_key(), release_key("thief")
    said = KeyChange(number=1, before=old.public, after=new.public)
    for alone in (old, new):
        text = signed(said, alone)
        with pytest.raises(UpdateError, match="not signed by the key"):
            decide(offer(None, "first", text), trusted(), OWN, NOW)


@pytest.mark.parametrize(
    "chain", [CHAIN[1:], (CHAIN[1], CHAIN[0]), (change(3, "first", "third"),), ("{}",), ("7",)]
)
def test_changes_that_do_not_follow_each_other_are_refused(chain: tuple[str, ...]) -> None:
    with pytest.raises(UpdateError):
        decide(offer(manifest(), "third", *chain), trusted(), OWN, NOW)


def test_a_key_is_kept_for_its_owner_and_opened_by_its_passphrase(tmp_path: Path) -> None:
    key = ReleaseKey.generate()
    file = tmp_path / "release.key"
    key.write(file, "correct horse")
    assert "correct horse" not in file.read_text()
    assert ReleaseKey.read(file, "correct horse").public == key.public
    for wrong in ("", "wrong"):
        with pytest.raises(UsageError, match="cannot be opened"):
            ReleaseKey.read(file, wrong)
    with pytest.raises(UsageError, match="never written over"):
        key.write(file, "")
    file.chmod(0o644)
    with pytest.raises(UsageError, match="others may read"):
        ReleaseKey.read(file, "correct horse")


# -- stages -----------------------------------------------------------------------------------


def test_a_share_of_peers_comes_first_and_they_stay_chosen() -> None:
    peers = [f"p{number}" for number in range(2_000)]
    chosen = [{each for each in peers if is_chosen(each, "0.2.0", share)} for share in (0.1, 0.5)]
    assert 150 < len(chosen[0]) < 250
    assert chosen[0] < chosen[1]
    assert chosen[0] != {each for each in peers if is_chosen(each, "0.3.0", 0.1)}
    assert all(is_chosen(each, "0.2.0", 1.0) for each in peers)
    assert not any(is_chosen(each, "0.2.0", 0.0) for each in peers)


def reports(*told: str) -> list[Reported]:
    """Return reports such as ``a+ b- c?``."""
    results = {"+": Result.GOOD, "-": Result.FAILED, "?": Result.UNABLE}
    return [Reported(each[:-1], results[each[-1]]) for each in told]


@pytest.mark.parametrize(
    ("told", "stops"),
    [
        ((), False),
        (("a-",), False),
        (("a-", "b-"), True),
        (("a-", "a-"), True),  # One account's pool.
        (("a-", "a-", "a-", "b+"), False),  # One account's word stops nobody else's.
        (("a-", "c-", "b+", "b+"), True),
        (("a?", "b?", "c?"), False),
        (("a-", "b-", *["c+"] * 9), False),
        ((*["c+"] * 200, *["a-", "b-"] * 5), True),  # It is the last that count.
    ],
)
def test_a_rising_share_of_failures_stops_a_release(told: tuple[str, ...], stops: bool) -> None:
    assert (why_stop(reports(*told)) is not None) is stops
