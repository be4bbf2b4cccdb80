"""A gamer who is banned while it plays is told why, by the coordinator's own words."""

from __future__ import annotations

from pathlib import Path

import httpx

from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.settings import Settings
from tests.gamer import Gamer
from tests.lane import PATIENCE
from tests.watched import serving


def test_a_gamer_who_is_banned_is_told_the_operators_reason(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker, serving(tmp_path, broker.url) as site:
        membership = site.join()
        settings = Settings(membership=membership)
        settings.broker.join(membership)
        with Gamer(settings, policy="predictive") as gamer:
            gamer.play(3)
            answer = httpx.post(
                f"{site.address}/v1/principals/{membership.id}/ban",
                json={"reason": "It floods."},
                headers={"Authorization": f"Bearer {site.operator}"},
                trust_env=False,
                timeout=PATIENCE,
            )
            assert answer.status_code == 200, answer.text
            said = "This pool will not have this gamer: It floods"
            gamer.until(lambda: said in str(gamer.session.figures()["notices"]), "it is told why")
            gamer.play_degraded(3)
