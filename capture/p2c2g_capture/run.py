"""One run of the gamer's side: source, session and displays, from start to summary."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from p2c2g.commands.options import stopping_at_signals
from p2c2g.display.hub import Hub
from p2c2g.display.recorder import Recorder
from p2c2g.display.web import ViewerServer
from p2c2g.errors import UsageError
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.messaging.broker import Broker
from p2c2g.nets.store import NetStore, OwnNet
from p2c2g.session.own import OwnSession
from p2c2g.session.session import Session
from p2c2g.settings import Settings
from p2c2g.system.malloc import keep_freed_memory
from p2c2g_capture.allowance import allowance
from p2c2g_capture.asked import (
    RunOptions,
    check_files,
    config_of,
    refuse_at_once,
    settings_of,
)
from p2c2g_capture.comparing import Comparer, Original, ssimulacra2
from p2c2g_capture.ending import Ending
from p2c2g_capture.games.consent import hand_on
from p2c2g_capture.games.switching import Stay
from p2c2g_capture.input.playing import announce
from p2c2g_capture.ownnets import Loan, nets_of, nets_of_clip, with_nets
from p2c2g_capture.pacer import Pacer
from p2c2g_capture.sound.of_run import RunSound
from p2c2g_capture.sources import Source, open_source, shipped_clip
from p2c2g_capture.terminal import LiveLine
from p2c2g_capture.waiting import wait_for_peers
from p2c2g_capture.where import AnySession, own_or_base

if TYPE_CHECKING:
    from p2c2g.display.relay import Relay
    from p2c2g_capture.games.shelf import Shelf
    from p2c2g_capture.input.hand import Hand
    from p2c2g_capture.pool import Ticket

logger = logging.getLogger(__name__)

#: Said beside an address that holds on this machine.
WATCH_ELSEWHERE = (
    "Elsewhere the same, with this machine's address in place of the first part. Who has the "
    "token can watch."
)


def run(
    options: RunOptions,
    settings: Settings,
    console: Console,
    ticket: Ticket | None = None,
    stay: Stay | None = None,
) -> None:
    """Run one session until its time is over or somebody stops it.

    Args:
        options: what is asked for.
        settings: all else.
        console: is told how it goes.
        ticket: for an open pool, where it is to be played in one.
        stay: what stays from one run to the next, where another may be chosen in the viewer.

    Raises:
        P2C2GError: what was asked for cannot be, or something it needs is not there.
    """
    stay = stay or Stay()
    size = Size.parse(options.size) if options.size else None
    allowed = allowance(
        options.max_up_mbps, options.max_down_mbps, settings.session, metered=options.metered
    )
    if options.watchable:
        allowed.refuse_watching()
    pipeline = Pipeline.parse(options.ops)
    nets: tuple[OwnNet, ...] = ()
    if options.game is not None:
        nets = nets_of(options.game, NetStore())
        pipeline = with_nets(pipeline, options.game, nets)
    grid = Grid.parse(options.chunks)
    check_files(options)
    keep_freed_memory()
    with ExitStack() as stack:
        sound = RunSound(
            options.audio, options.source,
            is_heard=not options.headless or (options.record is not None and not options.mute),
            speaks=options.microphone,
        )  # fmt: skip
        stack.callback(sound.close)
        source, original = _open_source(options, pipeline, size, sound.environment)
        stack.callback(source.close)
        sound.open(source)
        if not nets and source.film == shipped_clip():
            nets = nets_of_clip(shipped_clip())
            pipeline = with_nets(pipeline, "the clip", nets, named=False)
        config = config_of(options, settings, pipeline, grid, source.size, allowed.limits)
        pacer = Pacer(source, options.fps, options.seconds)
        hub = Hub()
        stack.callback(hub.close)
        by_itself = own_or_base(config, options.where, allowed)
        if by_itself is not None and by_itself.enhance is not None:
            refuse_at_once(config)
        session: AnySession
        broker = membership = None
        if ticket is not None and (by_itself is None or options.watchable):
            # What it needs takes a moment to import, and a pool of one's own does without.
            from p2c2g_capture import pool

            membership = stack.enter_context(pool.playing(ticket, settings, logger.warning))
        if by_itself is None:
            broker = stack.enter_context(Broker(settings))
            shows = settings.session.show_evidence
            session = Session(broker, config, hub.publish, shows=shows)
            if membership is not None:
                stack.enter_context(pool.witness(membership, session.evidence))
        else:
            session = OwnSession(config, by_itself.enhance, hub.publish, notice=by_itself.notice)
        recorder = None
        if options.record:
            recorder = Recorder(options.record, options.fps, config.output)
            stack.callback(recorder.close)
            recorder.start(hub, None if options.mute else sound.hub)
        comparer = None if original is None else Comparer(original, config, ssimulacra2())
        if comparer is not None:
            comparer.start(hub)
        url = viewer = relay = None

        def live() -> dict[str, Any]:
            return _live(session, source, comparer, relay, sound, hand, refused, shelf)

        hand, refused, shelf = None, "", None
        if not options.headless:
            hand, refused = hand_on(
                source, options.input, options.profile,
                shared=options.share_pads, knows=options.beside_anti_cheat, tokens=stay.tokens,
            )  # fmt: skip
        if hand is not None:
            stack.callback(hand.close)
            stay.tokens = hand.tokens
        if not options.headless:
            shelf = stay.shelf(source, options, pacer.stop)
            viewer = ViewerServer(
                hub,
                live,
                host=options.host,
                port=stay.port or options.port,
                allowed=options.allow_hosts,
                proxies=options.trust_proxies,
                game=hand,
                asks=options.ask_token,
                sound=sound.hub,
                microphone=sound.microphone,
                games=shelf,
                token=stay.watch,
            )
            stack.callback(viewer.close)
            url = viewer.start()
            stay.port = urlsplit(url).port
        if broker is not None:
            broker.check()
            if nets:
                stack.enter_context(Loan(nets, broker.blobs()))
        if viewer is not None and url is not None:
            console.print("Watch at", Text(url, "bold"), soft_wrap=True)
            if viewer.is_open:
                console.print(WATCH_ELSEWHERE, style="dim", soft_wrap=True)
            if hand is not None:
                announce(hand, url, console)
        if options.watchable and membership is not None:
            relay = pool.watchable(membership, hub, live, console, logger.warning)
            stack.callback(relay.close)
        if by_itself is not None:
            console.print(by_itself.sentence(config), markup=False)
        if broker is not None and options.wait_for:
            wait_for_peers(broker, options.wait_for)
        session.start()
        sound.start()
        ending = Ending(
            console, session, record=options.record, report=options.report,
            settings=settings_of(options, config, source),
            played=None if hand is None else hand.figures,
        )  # fmt: skip
        stack.callback(ending.print_summary)
        stack.callback(ending.write_report)
        if comparer is not None:
            stack.callback(ending.compare, comparer)
        if recorder is not None:
            stack.callback(ending.finish, recorder)
        stack.callback(hub.close)
        stay.has_begun = True
        with stopping_at_signals(pacer.stop):
            _play(session, pacer, console)


def _open_source(
    options: RunOptions, pipeline: Pipeline, size: Size | None, environment: Mapping[str, str]
) -> tuple[Source, Original | None]:
    """Open the source; with ``--compare``, also as the original."""
    if not options.compare:
        return open_source(
            options.source, size, options.fps, cursor=options.cursor, environment=environment
        ), None
    film = open_source(options.source, None, options.fps, cursor=options.cursor)
    try:
        original = Original(film, pipeline, size)
    except UsageError:
        film.close()
        raise
    return original, original


def _live(
    session: AnySession,
    source: Source,
    comparer: Comparer | None,
    relay: Relay | None,
    sound: RunSound,
    hand: Hand | None,
    refused: str,
    shelf: Shelf | None,
) -> dict[str, Any]:
    """Return the figures of the last seconds, with what there is to say of source and session."""
    live = {**session.live(), **sound.figures(), **(comparer.live() if comparer else {})}
    if relay is not None:
        live["watching"] = relay.figures()
    if hand is not None:
        live["input"] = hand.figures()
    if shelf is not None:
        live["games"] = True
    notices = (source.notice(), live["notice"], sound.notice(), refused)
    return {**live, "notice": ". ".join(filter(None, notices))}


def _play(session: AnySession, pacer: Pacer, console: Console) -> None:
    # What was loaded until now stays: a full collection of it takes tens of milliseconds.
    gc.collect()
    gc.freeze()
    try:
        with LiveLine(console, session.live):
            for frame in pacer:
                session.submit(frame)
                pacer.every = session.every
    finally:
        session.close(pacer.due)
