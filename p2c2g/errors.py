"""Every error that P2C2G raises on purpose.

.. code-block:: text

    P2C2GError
    ├── UsageError             what was asked for cannot be; the command exits with 2
    ├── OwnFaultError          this process failed at what others do; the command exits with 1
    ├── UnavailableError       something needed is not there now; the command exits with 1
    │   ├── BrokerUnavailableError
    │   │   └── BrokerRefusesError  it answers, and will not do what is needed
    │   ├── PoolUnavailableError   an open pool's coordinator does not answer
    │   │   └── PoolRefusesError    it answers, and will not do what is asked
    │   └── SourceUnavailableError
    ├── UpdateError            a release that must not be installed, or cannot be; it exits with 1
    └── ChunkError             one attempt at one chunk went wrong
        ├── WireError          bytes that are not a message of ours
        ├── CodecError         a payload that is not a picture of the codec that it names
        ├── ProcessorError     an operation that failed on a sound picture
        └── CheckError         a sound picture that does not show what was sent

``retryable`` says whether another attempt, at another peer, may succeed.  The messages are
whole sentences: they are what a person sees.
"""


class P2C2GError(Exception):
    """Something in P2C2G went wrong."""

    retryable = False
    exit_code = 1


class UsageError(P2C2GError):
    """What was asked for cannot be."""

    exit_code = 2


class OwnFaultError(P2C2GError):
    """This process failed at sound work: nothing is said against who sent it."""


class UnavailableError(P2C2GError):
    """Something that is needed is not there."""

    retryable = True


class BrokerUnavailableError(UnavailableError):
    """The broker does not answer."""


class BrokerRefusesError(BrokerUnavailableError):
    """The broker answers, and refuses what is needed: waiting does not help."""

    retryable = False


class PoolUnavailableError(UnavailableError):
    """The coordinator of an open pool does not answer."""


class PoolRefusesError(PoolUnavailableError):
    """The coordinator answers, and refuses what is asked: waiting does not help."""

    retryable = False


class SourceUnavailableError(UnavailableError):
    """The source of frames cannot be opened or has ended."""


class UpdateError(P2C2GError):
    """A release that must not be installed, or cannot be."""


class ChunkError(P2C2GError):
    """One attempt at one chunk went wrong."""

    retryable = True


class WireError(ChunkError):
    """Bytes that are not a message of ours."""

    retryable = False


class CodecError(ChunkError):
    """A payload that is not a picture of the codec that it names."""


class ProcessorError(ChunkError):
    """An operation that failed on a sound picture."""


class CheckError(ChunkError):
    """A sound picture that does not show what was sent."""
