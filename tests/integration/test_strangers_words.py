"""What peers say of themselves is shown on the coordinator's pages, and does nothing there."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2c2g.coordinator.keys import KeyRole
from p2c2g.messaging import open_names
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.messages import Beat, Capabilities, Enrolment, Gpu, PeerState
from tests.coordinators import add_principal, coordinator_settings, running
from tests.integration.test_coordinator_pages import Browser


@pytest.mark.parametrize(
    "words",
    [
        '"><img src=x onerror=alert(1)>',
        "</td><script src=//evil/x></script>",
        "{{ 7 * 7 }}{% for x in () %}",
        "javascript:alert(1)",
        "a\r\nSet-Cookie: x=y\r\n\r\n<i>",
        "\x1b[2J\x1b]0;owned\x07",
    ],
)
def test_a_peers_words_are_text(broker: EmbeddedBroker, tmp_path: Path, words: str) -> None:
    with running(coordinator_settings(tmp_path, broker=broker.url)) as started:
        client = started.services.broker.client
        client.flushall()
        peer = add_principal(started.services, "peer", "eve")
        capabilities = Capabilities(
            cpu=words, gpus=(Gpu(name=words, kind="cuda"),), speeds={words: 1e12},
            versions={words: words},
        )  # fmt: skip
        enrolment = Enrolment(
            id=peer, name=words, region=words[:16], instance="i", queues=("cpu",), slots=1024,
            interval=0.5, capabilities=capabilities,
        )  # fmt: skip
        beat = Beat(instance="i", state=PeerState.PAUSED, served=2**40, reason=words)
        client.set(open_names.enrolment(peer), enrolment.model_dump_json())
        client.set(open_names.beat(peer), beat.model_dump_json())
        browser = Browser(started)
        shown = ""
        for role, paths in (
            (KeyRole.PEER, ("/mine",)),
            (KeyRole.OPERATOR, ("/pool", f"/pool/{peer}")),
        ):
            browser.sign_in(started.key(role, "eve"))
            for path in paths:
                answer = browser.see(path)
                assert answer.status_code == 200
                shown += answer.text
                for raw in ("<img", "<script src=//", "<i>", "\x1b", 'href="javascript'):
                    assert raw not in answer.text, path
                assert "x=y" not in str(answer.headers)
    assert "1024" in shown or "paused" in shown, "it is not shown at all"
