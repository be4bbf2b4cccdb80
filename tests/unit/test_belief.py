"""When a worker believes that its broker will go on refusing it."""

from __future__ import annotations

import pytest
import redis

from p2c2g.errors import (
    BrokerRefusesError,
    P2C2GError,
    PoolRefusesError,
    PoolUnavailableError,
    UsageError,
)
from p2c2g.joining.expulsion import Expulsion
from p2c2g.settings.membership import Membership
from p2c2g_workers.refusals import GRACE, Belief

MEMBER = Membership.model_validate(
    {"pool": "https://pool.example", "role": "peer", "id": "pattic", "broker": "rediss://x/0",
     "user": "peer-pattic", "password": "x"}
)  # fmt: skip

WRONG = redis.AuthenticationError("WRONGPASS invalid username-password pair")


def test_at_once_in_a_pool_of_ones_own() -> None:
    with pytest.raises(BrokerRefusesError, match="password"):
        Belief().check(WRONG)


def test_where_logins_come_back_after_a_while() -> None:
    now = [0.0]
    belief = Belief(GRACE, lambda: now[0])
    belief.check(WRONG)
    now[0] = GRACE - 0.1
    belief.check(WRONG)
    belief.passed()  # It was let in again.
    now[0] = 2 * GRACE
    belief.check(WRONG)
    now[0] = 3 * GRACE
    with pytest.raises(BrokerRefusesError):
        belief.check(WRONG)


def test_at_once_where_somebody_knows_why() -> None:
    why = [""]
    belief = Belief(GRACE, lambda: 0.0, lambda: why[0])
    belief.check(WRONG)
    why[0] = "It lied."
    with pytest.raises(BrokerRefusesError):
        belief.check(WRONG)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (PoolRefusesError("The pool refuses: it lied."), "The pool refuses: it lied."),
        (PoolUnavailableError("The pool's coordinator does not answer."), ""),
        (UsageError("Its address is none."), ""),
        (None, ""),
    ],
)
def test_a_coordinator_says_why_and_is_not_asked_all_the_time(
    answer: P2C2GError | None, sentence: str
) -> None:
    asked: list[Membership] = []
    now = [0.0]

    def ask(membership: Membership) -> None:
        asked.append(membership)
        if answer is not None:
            raise answer

    expulsion = Expulsion(MEMBER, ask, lambda: now[0])
    assert expulsion.sentence() == sentence
    assert expulsion.sentence() == sentence
    assert asked == [MEMBER]
    now[0] = 60.0
    assert expulsion.sentence() == sentence
    assert len(asked) == (1 if sentence else 2), "what is known is not asked again"


def test_what_passes_by_itself_is_no_refusal() -> None:
    Belief().check(redis.ConnectionError("connection refused"))
    Belief().check(redis.ResponseError("OOM command not allowed"))
