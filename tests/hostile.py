"""A peer of an open pool that does as it likes: a true login, and a client of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import msgpack
import redis

from p2c2g.errors import WireError
from p2c2g.media.operations import Pipeline
from p2c2g.media.wire import ChunkHeader, ResultHeader
from p2c2g.messaging import envelope, names, open_names
from p2c2g.messaging.embedded import HOST
from p2c2g.peers.messages import Beat, Enrolment, PeerState
from p2c2g.peers.standing import Voucher
from p2c2g.peers.versions import spoken
from p2c2g.peers.vouching import vouch_for
from p2c2g.sealing.identity import Identity, text_of
from p2c2g.sealing.peer_end import OpenedChunk, PeerEnd
from p2c2g.settings.principal import Principal, Role
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.cpu import CpuEngine
from tests.open_pool import OpenPool

#: Seconds for which a beat lasts, and between two of them.
LASTS_MS, EVERY = 3000, 0.3
#: Of a worker, as it enrols.
INSTANCE = "hostile"


@dataclass(frozen=True)
class Taken:
    """A chunk that it was sent, opened."""

    gamer: str
    task: str
    packed: bytes
    header: ChunkHeader
    opened: OpenedChunk

    def residual(self) -> bytes:
        """Return what an honest peer would answer."""
        asked, header = Pipeline.parse(self.header.operations), self.header
        work = Work(
            asked.resolve(header.frame_size), header.codec, self.opened.picture,
            header.padded.size, header.crop, header.form,
        )  # fmt: skip
        return CpuEngine().enhance(work).payload


#: What it does with each chunk: it returns what it writes to which stream.
Entry = tuple[str, dict[str, bytes]]
Conduct = Callable[["Hostile", Taken], Iterable[Entry]]


class Hostile:
    """It enrols, beats and reads its chunks inside a ``with`` block, and does with them as told.

    Args:
        pool: of which it is a peer.
        peer: its id.
        conduct: what it does with each chunk, on a thread of its own.
        account: whose it is, as the operator says.
        told: of its enrolment, in place of what is true.
    """

    def __init__(
        self, pool: OpenPool, peer: str, conduct: Conduct, account: str = "", **told: Any
    ) -> None:
        self.id = peer
        self._pool = pool
        self._conduct = conduct
        membership = pool.join(Role.PEER, peer)
        identity = Identity.from_text(membership.signing_key.get_secret_value())
        if account:
            voucher = Voucher(key=text_of(identity.public), account=account)
            voucher = vouch_for(pool.identity, membership.prefix, peer, voucher)
            pool.operator.hset(open_names.peers(), peer, voucher.model_dump_json())
        self._end = PeerEnd(membership.prefix, peer, INSTANCE, identity)
        self.client = redis.Redis(
            HOST, pool.broker.port, username=membership.user, driver_info=None,
            password=membership.password.get_secret_value(),
        )  # fmt: skip
        enrolment: dict[str, Any] = {
            "id": peer, "instance": INSTANCE, "queues": ("cpu",), "speaks": spoken(),
            "exchange": text_of(self._end.public),
            "exchange_signature": text_of(self._end.signature), **told,
        }  # fmt: skip
        self._enrolment = Enrolment(**enrolment)
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=run, name=f"hostile-{run.__name__}")
            for run in (self._live, self._work)
        ]
        #: Chunks that it was sent, and set once it had one.
        self.taken = 0
        self.began = threading.Event()
        self.crash: BaseException | None = None

    def __enter__(self) -> Self:
        self._beat()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self.client.close()
        self._pool.leave(Principal(Role.PEER, self.id))
        if kind is None:
            assert self.crash is None, self.crash

    @property
    def given(self) -> int:
        """Return how many chunks it was sent, whether it has taken them or not yet."""
        return self.taken + sum(int(self.client.llen(queue)) for queue in self._queues())

    def _queues(self) -> list[str]:
        gamers = self._pool.ids(Role.GAMER)
        return [names.queue_key(open_names.chunks_queue(self.id, gamer)) for gamer in gamers]

    def answer(self, taken: Taken, residual: bytes, **changes: Any) -> Entry:
        """Return an answer as an honest peer sends it: signed, sealed, to where it belongs."""
        header = replace(self.header(taken), **changes).pack()
        return self.entry(taken, header=header, payload=taken.opened.answer(header, residual))

    def pause(self, seconds: float) -> None:
        """Do nothing for so long, or until it is over."""
        self._over.wait(seconds)

    def header(self, taken: Taken) -> ResultHeader:
        """Return an honest header, of a peer that is quick."""
        asked = taken.header
        return ResultHeader(asked.frame, asked.chunk, asked.attempt, self.id, 0, 1000, 1000, 2000)

    def entry(self, taken: Taken, **fields: bytes) -> Entry:
        """Return an entry for the session that sent a chunk."""
        stream = open_names.results(self.id, taken.gamer, taken.header.session)
        return stream, {"id": taken.task.encode(), "state": b"SUCCESS", **fields}

    def _beat(self) -> None:
        beat = Beat(instance=INSTANCE, state=PeerState.READY)
        with self.client.pipeline(transaction=False) as pipe:
            pipe.set(open_names.beat(self.id), beat.model_dump_json(), px=LASTS_MS)
            pipe.set(open_names.enrolment(self.id), self._enrolment.model_dump_json(), px=60_000)
            pipe.execute()

    def _live(self) -> None:
        with suppress(redis.RedisError):
            while not self._over.wait(EVERY):
                self._beat()

    def _work(self) -> None:
        try:
            while not self._over.is_set():
                found: Any = self.client.brpop(self._queues(), timeout=0.1)  # type: ignore[arg-type]
                if found is not None:
                    self._take(found[0].decode(), found[1])
        except redis.RedisError:
            return  # It was shut out.
        except BaseException as error:
            self.crash = error
            raise

    def _take(self, queue: str, item: bytes) -> None:
        message = envelope.unpack(item)
        (packed, payload), _, _ = msgpack.unpackb(message["body"])
        gamer = queue.rpartition(":")[2]
        try:
            opened = self._end.open(gamer, packed, payload)
        except WireError:
            return
        taken = Taken(gamer, message["headers"]["id"], packed, ChunkHeader.unpack(packed), opened)
        self.taken += 1
        self.began.set()
        for stream, fields in self._conduct(self, taken):
            self.client.xadd(stream, fields, nomkstream=True, maxlen=256)  # type: ignore[arg-type]
