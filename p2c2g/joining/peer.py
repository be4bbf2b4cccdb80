"""A machine joins an open pool as a peer, once, and comes back as often as it likes."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any, Final

from pydantic import SecretStr

from p2c2g.errors import PoolRefusesError, PoolUnavailableError, UsageError
from p2c2g.joining import messages
from p2c2g.joining.address import PoolAddress
from p2c2g.joining.client import PATIENCE, PoolClient
from p2c2g.joining.kept import Kept
from p2c2g.joining.proof import prove
from p2c2g.peers.standing import Verdict
from p2c2g.sealing.identity import Identity, text_of
from p2c2g.settings import BrokerSettings
from p2c2g.settings.membership import Membership

#: Seconds before a question is asked again whose answer may only have been lost.
_AGAIN: Final = (0.5, 1.0)


def enter(
    address: PoolAddress,
    kept: Kept,
    label: str,
    token: Callable[[], str],
    say: Callable[[str], None],
) -> Membership:
    """Return this peer's membership: the one that is kept, renewed, or a new one.

    Args:
        address: the pool's.
        kept: where its membership lies.
        label: what people call the peer.
        token: returns a join token; asked only where a new membership is needed.
        say: is told in a sentence what is worth knowing and no error.

    Raises:
        PoolRefusesError: the pool will not have it.
        PoolUnavailableError: the coordinator does not answer, and there is no membership yet.
        UsageError: there is no token, or what is kept is broken.
    """
    membership = kept.read()
    if membership is not None:
        try:
            membership = renewed(membership, say)
        except PoolRefusesError as error:
            say(f"{error} This needs a new join token.")
        except PoolUnavailableError as error:
            say(f"{error} This peer goes on with the membership that it has.")
            return membership
        else:
            kept.write(membership)
            return membership
    membership = join(address, label, token())
    kept.write(membership)
    return membership


def join(address: PoolAddress, label: str, token: str) -> Membership:
    """Join a pool with a new key pair.

    Where the coordinator does not answer it is asked again, with the same key: then it is the same
    peer to it, and its token is not spent twice.

    Raises:
        PoolRefusesError: the token counts no more, or the pool will not have this peer.
        PoolUnavailableError: the coordinator does not answer.
    """
    identity = Identity.generate()
    said = messages.Join(
        key=text_of(identity.public), proof=prove(identity, token), label=label_of(label)
    )
    with PoolClient(address) as client:
        for pause in _AGAIN:
            try:
                given = client.post(messages.PEERS, token, said, messages.Given)
                break
            except PoolRefusesError:
                raise
            except PoolUnavailableError:
                Event().wait(pause)
        else:
            given = client.post(messages.PEERS, token, said, messages.Given)
    return taken(address, given, signing_key=SecretStr(identity.text()))


def renewed(
    membership: Membership, say: Callable[[str], None], patience: float = PATIENCE
) -> Membership:
    """Tell the coordinator that one is there again; return the membership as it is now.

    Args:
        membership: the one.
        say: is told in a sentence how the pool's operator has this peer.
        patience: seconds that the coordinator is waited for.

    Raises:
        PoolRefusesError: it is one no more.
        PoolUnavailableError: the coordinator does not answer.
    """
    address = PoolAddress.parse(membership.pool)
    with PoolClient(address, membership.ca, patience) as client:
        told = client.post(
            messages.MEMBERSHIP, membership.token.get_secret_value(), None, messages.Renewed
        )
    if told.verdict is not Verdict.OK:
        say(f"The pool's operator has this peer {told.verdict.value}: {told.reason or 'no reason'}")
    changes = {"broker": told.broker, "prefix": told.prefix, "ca": told.ca, "lease": told.lease}
    if not membership.release_key:
        # It joined before there was one.  A key that it has is changed by that key's word alone.
        membership = membership.model_copy(update={"release_key": told.release_key})
    return _checked(membership.model_copy(update=changes))


def leave(membership: Membership, patience: float = PATIENCE) -> None:
    """End a membership at the coordinator: its login is deleted at once.

    Args:
        membership: the one.
        patience: seconds that the coordinator is waited for.

    Raises:
        PoolUnavailableError: the coordinator does not answer.
    """
    address = PoolAddress.parse(membership.pool)
    with PoolClient(address, membership.ca, patience) as client:
        client.delete(messages.MEMBERSHIP, membership.token.get_secret_value())


def taken(address: PoolAddress, given: messages.Given, **own: Any) -> Membership:
    """Return the membership that a coordinator gave, with what only its holder knows.

    Raises:
        UsageError: its broker is none, or is reached without TLS.
    """
    return _checked(Membership(pool=address.url, **given.model_dump(), **own))


def label_of(name: str) -> str:
    """Return what people call a machine, in the letters that every coordinator takes."""
    return "".join(each if each.isalnum() or each in " .@+-_" else "-" for each in name)[:64]


def _checked(membership: Membership) -> Membership:
    """Look now at what every later use would refuse."""
    try:
        BrokerSettings().join(membership)
    except UsageError as error:
        raise PoolRefusesError(str(error)) from error
    return membership
