"""Many viewers of one session by its pool's coordinator, some of them slow.

``python -m benchmarks.viewers``.  A real coordinator in a process of its own, a session's relay,
and all viewers in one process of this machine: first those that keep up alone, then with the slow
ones beside them.  What the fast ones get is compared between the two, since it also says what the
machine can do; the coordinator's memory is read while the slow ones hang.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Annotated

import httpx
import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from p2c2g.display.hub import Hub
from p2c2g.display.relay import Relay
from p2c2g.joining.address import PoolAddress
from p2c2g.joining.lease import play
from p2c2g.media.frame import Size
from p2c2g.media.picture import Picture
from p2c2g.media.residual import USUAL_FORM
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g_capture.sources.pattern import PatternSource
from tests.viewed import some_residual, viewed_picture

#: Pictures that are made before, and shown in turn.
MADE = 16
TOKEN = "benchmark"
RUN = "from p2c2g.commands.main import main; main()"
#: What a slow viewer is like: it reads nothing; it reads and never answers; it answers and reads
#: nothing.
SLOW = ("stuck", "silent", "liar")


@dataclass
class Seen:
    """What one viewer got."""

    kind: str
    numbers: list[int] = field(default_factory=list)
    bytes: int = 0
    was_cut: bool = False


@contextmanager
def coordinator(folder: Path, broker: str, viewers: int) -> Iterator[tuple[str, psutil.Process]]:
    """Run one; give its address and its process."""
    own = {
        "DATA": folder, "WATCHERS_PER_SESSION": viewers, "MAX_CONNECTIONS": 4 * viewers + 64,
        "REQUESTS_PER_MINUTE": 10**6, "LISTEN_PORT": 0,
    }  # fmt: skip
    variables = {f"P2C2G_COORDINATOR_{name}": str(value) for name, value in own.items()}
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "coordinator", "run"],
        env={**os.environ, **variables, "P2C2G_BROKER_URL": broker, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = next(each for each in process.stdout if "coordinator is at" in each)
            yield line.split()[-1], psutil.Process(process.pid)
        finally:
            process.terminate()


async def watch(connection: ClientConnection, seen: Seen) -> None:
    """Be a viewer until the connection ends."""
    await connection.send('{"draws":true,"base":false}')
    try:
        if seen.kind == "stuck":
            await connection.wait_closed()
        if seen.kind == "liar":
            while True:
                await asyncio.sleep(0.01)
                await connection.send('{"shown":1000000}')
        async for message in connection:
            if isinstance(message, str):
                continue
            length = int.from_bytes(message[:4], "little")
            number = json.loads(message[4 : 4 + length])["number"]
            seen.numbers.append(number)
            seen.bytes += len(message)
            if seen.kind == "fast":
                await connection.send(f'{{"shown":{number},"after_ms":1}}')
        seen.was_cut = True
    except ConnectionClosed:
        seen.was_cut = True


async def trial(
    address: str, kinds: list[str], publish: Callable[[int], None], fps: float, seconds: float,
    process: psutil.Process,
) -> tuple[list[Seen], int, int]:  # fmt: skip
    """Show pictures to viewers.

    Returns:
        What each got, and the coordinator's bytes before and at most.
    """
    everybody = [Seen(kind) for kind in kinds]
    async with AsyncExitStack() as stack:
        tasks = []
        for seen in everybody:
            connection = await stack.enter_async_context(
                connect(address, proxy=None, max_size=None, compression=None, close_timeout=1)
            )
            tasks.append(asyncio.create_task(watch(connection, seen)))
        await asyncio.sleep(2.0)
        before = most = process.memory_info().rss
        began = monotonic()
        for number in range(round(seconds * fps)):
            await asyncio.sleep(max(0.0, began + number / fps - monotonic()))
            publish(number)
            if number % 15 == 0:
                most = max(most, process.memory_info().rss)
        await asyncio.sleep(1.0)
        cut = [seen.was_cut for seen in everybody]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for seen, was_cut in zip(everybody, cut, strict=True):
        seen.was_cut = was_cut
    return everybody, before, most


def main(
    viewers: Annotated[int, typer.Option(help="All of them.")] = 200,
    slow: Annotated[int, typer.Option(help="How many of them are slow.")] = 20,
    fps: Annotated[float, typer.Option(help="Pictures a second.")] = 30.0,
    seconds: Annotated[float, typer.Option(help="Of each trial.")] = 20.0,
    size: Annotated[str, typer.Option(help="Of the session's frames.")] = "160x90",
) -> None:
    """Measure, and print a table."""
    wanted = Size.parse(size)
    output = Size(2 * wanted.width, 2 * wanted.height)
    source = PatternSource(output)  # a smaller one could not carry its number
    made = []
    for at in range(MADE):
        frame = np.ascontiguousarray(source.grab(at)[::2, ::2])
        made.append(viewed_picture(at, frame, some_residual(output, at), USUAL_FORM))
    console, rows = Console(), []
    with (
        tempfile.TemporaryDirectory() as name,
        EmbeddedBroker() as broker,
        coordinator(Path(name), broker.url, viewers) as (address, process),
    ):
        operator = (Path(name) / "operator.key").read_text().strip()
        key = httpx.post(
            f"{address}/v1/keys", json={"account": "bench", "role": "gamer"}, trust_env=False,
            headers={"Authorization": f"Bearer {operator}"},
        ).json()["key"]  # fmt: skip
        fast = ["fast"] * (viewers - slow)
        late = [SLOW[at % len(SLOW)] for at in range(slow)]
        for kinds in (fast, [*late, *fast]):
            membership = play(PoolAddress(address), "bench", key)
            hub = Hub()
            relay = Relay(hub, dict, membership, TOKEN, console.print)
            relay.start()
            relay.known.wait(10)

            def publish(number: int, hub: Hub = hub) -> None:
                hub.publish(_numbered(made[number % MADE], number))

            socket = f"{address.replace('http', 'ws', 1)}/s/{membership.id}/ws?token={TOKEN}"
            rows.append(
                (kinds, relay, asyncio.run(trial(socket, kinds, publish, fps, seconds, process)))
            )
            relay.close()
    table = Table(title=f"{fps:g} pictures a second for {seconds:g} s, {size}")
    for column in ("viewers", "of them slow", "sent by the session", "a fast one got: least",
                   "median", "most", "KiB a picture", "slow ones got at most", "cut",
                   "coordinator MiB before", "most"):  # fmt: skip
        table.add_column(column, justify="right")
    for kinds, relay, (everybody, before, most) in rows:
        got = [len(seen.numbers) for seen in everybody if seen.kind == "fast"]
        others = [seen for seen in everybody if seen.kind != "fast"]
        total = sum(each.bytes for each in everybody if each.kind == "fast")
        kib = total / max(1, sum(got)) / 1024
        table.add_row(
            str(len(kinds)), str(len(others)), str(relay.figures()["sent"]),
            str(min(got)), f"{median(got):g}", str(max(got)), f"{kib:.1f}",
            str(max((len(seen.numbers) for seen in others), default=0)),
            str(sum(seen.was_cut for seen in others)),
            f"{before / 2**20:.1f}", f"{most / 2**20:.1f}",
        )  # fmt: skip
    console.print(table)


def _numbered(picture: Picture, number: int) -> Picture:
    return replace(picture, number=number, captured_at=monotonic(), ready_at=monotonic())


if __name__ == "__main__":
    typer.run(main)
