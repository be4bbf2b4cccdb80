"""Many come to the coordinator at once, or while they are being shut out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from p2c2g.coordinator.accounts import ForbiddenError, NotAdmittedError
from p2c2g.coordinator.accounts import Identity as Account
from p2c2g.coordinator.audit import Actor
from p2c2g.coordinator.enrolment import Enrolment
from p2c2g.coordinator.keys import KeyRole
from p2c2g.joining.messages import Given, Join, Play
from p2c2g.joining.proof import prove
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.sealing.identity import Identity, text_of
from tests.coordinators import TESTER, Coordinator, coordinator_settings, running

MANY, MOST = 8, 3
FAR = Actor("key:tester", "", "203.0.113.9")


@pytest.fixture
def coordinator(
    broker: EmbeddedBroker, folder: Path, database_url: str | None
) -> Iterator[Coordinator]:
    settings = coordinator_settings(folder, database_url, broker.url, sessions_per_account=MOST)
    with running(settings) as started:
        yield started


def enrolment(coordinator: Coordinator) -> Enrolment:
    found: Enrolment = coordinator.client.app.state.enrolment  # type: ignore[attr-defined]
    return found


def at_once(do: Callable[[], Given]) -> list[Given]:
    """Do something many times at once; return what was given, where it was not refused."""
    ready = Barrier(MANY)

    def one(_: int) -> Given | None:
        ready.wait()
        try:
            return do()
        except ForbiddenError:
            return None

    with ThreadPoolExecutor(MANY) as threads:
        return [each for each in threads.map(one, range(MANY)) if each is not None]


def join(coordinator: Coordinator, token: str, shown: Account | None = None) -> Given:
    identity = Identity.generate()
    said = Join(key=text_of(identity.public), proof=prove(identity, token))
    shown = shown or coordinator.services.accounts.identify(token)
    return enrolment(coordinator).join(shown, token, said, FAR)


def play(coordinator: Coordinator, key: str, shown: Account | None = None) -> Given:
    shown = shown or coordinator.services.accounts.identify(key)
    return enrolment(coordinator).play(shown, Play(), FAR)


def test_a_token_of_one_use_lets_one_in_however_many_show_it_at_once(
    coordinator: Coordinator,
) -> None:
    token = coordinator.key(KeyRole.PEER, "lender", uses=1)
    assert len(at_once(lambda: join(coordinator, token))) == 1


@pytest.mark.parametrize("role", [KeyRole.PEER, KeyRole.GAMER])
def test_an_account_has_no_more_than_it_may_however_many_come_at_once(
    coordinator: Coordinator, role: KeyRole
) -> None:
    key = coordinator.key(role, "crowd")
    come = join if role is KeyRole.PEER else play
    assert len(at_once(lambda: come(coordinator, key))) == MOST


def end_key(coordinator: Coordinator, shown: Account) -> None:
    coordinator.services.accounts.revoke(shown.key_id, TESTER)


def end_account(coordinator: Coordinator, shown: Account) -> None:
    coordinator.services.accounts.disable(shown.account_id, True, TESTER)


def wait_long(coordinator: Coordinator, _shown: Account) -> None:
    coordinator.clock.now += 120.0


@pytest.mark.parametrize("end", [end_key, end_account, wait_long])
@pytest.mark.parametrize("role", [KeyRole.PEER, KeyRole.GAMER])
def test_a_key_that_ends_while_it_is_shown_lets_nobody_in(
    coordinator: Coordinator, role: KeyRole, end: Callable[[Coordinator, Account], None]
) -> None:
    """Else who came in so would have stayed: nobody revokes a key a second time."""
    key = coordinator.key(role, "late", lifetime=60.0)
    shown = coordinator.services.accounts.identify(key)
    end(coordinator, shown)
    come = join if role is KeyRole.PEER else play
    with pytest.raises(NotAdmittedError):
        come(coordinator, key, shown)
