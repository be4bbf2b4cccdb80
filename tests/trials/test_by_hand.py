"""A level's first minute, played by what a person has: the browser's picture, its sound, its keys.

``make trials ARGS="-k by_hand"``; with ``P2C2G_TRIALS=FOLDER`` pages, recordings and spectra are
kept there.
"""

from __future__ import annotations

import os
import random
import sys
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep

import cv2
import numpy as np
import pytest

from p2c2g_capture.games.played import file_of
from p2c2g_capture.games.profile import GameProfile
from p2c2g_capture.games.store import ProfileStore
from tests.trials.by_hand import HEIGHT, WIDTH, Gamer, Grey, Heard, apart, gamer_at
from tests.trials.test_games import session

pytestmark = [pytest.mark.trial, pytest.mark.needs("Xvfb", "pulseaudio", "chromium")]

#: Seconds of play.
MINUTE = 60.0
#: Of a glance: Doom's view above its weapon, its map, and the number of its ammunition.
AHEAD, MAP = np.s_[10 : HEIGHT // 2], np.s_[: HEIGHT * 5 // 6]
AMMO = np.s_[HEIGHT * 168 // 200 : HEIGHT * 184 // 200, :44]


def told(name: str, heard: Heard, **what: object) -> None:
    seen = ", ".join(f"{key} {value}" for key, value in what.items())
    sys.stdout.write(
        f"\n{name}: {seen}; heard {heard.loud():.2f} of {heard.seconds:.0f} s, "
        f"power by bands {heard.bands()}\n"
    )


def is_map(seen: Grey) -> bool:
    """Tell whether Doom's map is shown: lines on black."""
    return float((seen[MAP] < 10).mean()) > 0.8


def turn_the_map(gamer: Gamer, *, on: bool) -> Grey:
    """Have Doom's map shown, or not; return what is seen then."""
    for _ in range(8):
        gamer.press("Tab")
        sleep(1.5)
        if is_map(seen := gamer.glance()) == on:
            return seen
    raise AssertionError("the map does not come and go")


def drawn_on_the_map(gamer: Gamer) -> int:
    """Look at Doom's map; return how many points of its lines are drawn."""
    lines = int((turn_the_map(gamer, on=True)[MAP] > 40).sum())
    gamer.photograph(f"map-{lines}")
    turn_the_map(gamer, on=False)
    return lines


def explore(gamer: Gamer, chance: random.Random, seconds: float) -> tuple[int, int]:
    """Walk, turn away from walls and now and then, open what is in the way, and shoot.

    Returns:
        Steps and turns.
    """
    end, steps, turns = monotonic() + seconds, 0, 0
    seen = gamer.glance()
    while monotonic() < end:
        gamer.hold("ArrowUp", "ShiftLeft")
        sleep(0.35)
        now = gamer.glance()
        if apart(seen[AHEAD], now[AHEAD]) > 5.0 and chance.random() < 0.85:
            steps += 1
        else:
            gamer.press("Space")
            gamer.hold(chance.choice(("ArrowLeft", "ArrowRight")))
            sleep(chance.uniform(0.4, 1.2))
            turns += 1
            now = gamer.glance()
        if chance.random() < 0.12:
            gamer.press("ControlLeft", 0.3)
        seen = now
    gamer.hold()
    return steps, turns


def installed(name: str) -> GameProfile:
    """Return a game's profile; where there is no such game, nothing can be tried."""
    profile = ProfileStore().load(name)
    if file_of(profile) is None:
        pytest.skip(f"{name} is not installed")
    return profile


@pytest.mark.timeout(400)
def test_by_hand_the_first_minute_of_doom(tmp_path: Path) -> None:
    name = "chocolate-doom"
    profile = installed(name)
    folder = Path(os.environ.get("P2C2G_TRIALS", tmp_path))
    with session(profile, tmp_path) as (page, token, process):
        with gamer_at(f"{page}#play={token}", folder, name) as gamer:
            sleep(2.0)
            # The menu; a new game; its first episode; the easiest of five.
            for key in ("Enter", "Enter", "Enter", "ArrowUp", "ArrowUp", "Enter"):
                gamer.press(key)
                sleep(1.5)
            sleep(3.0)
            gamer.photograph("0")
            first = gamer.glance()
            chance = random.Random(7)
            known, steps, turns, fired = [drawn_on_the_map(gamer)], 0, 0, 0.0
            for quarter in range(1, 5):
                walked = explore(gamer, chance, MINUTE / 4)
                steps, turns = steps + walked[0], turns + walked[1]
                gamer.photograph(f"{15 * quarter}")
                # Who dies begins anew, with all of it.
                fired = max(fired, apart(first[AMMO], gamer.glance()[AMMO]))
                known.append(drawn_on_the_map(gamer))
            heard = gamer.heard()
        assert process.poll() is None, "the session has ended"
    told(name, heard, map=known, steps=steps, turns=turns, ammunition_changed=f"{fired:.1f}")
    assert max(known[1:]) > 1.3 * known[0], "nothing new is on the map"
    assert fired > 2.0, "nothing was shot"
    assert heard.loud() > 0.05


def is_told(seen: Grey) -> bool:
    """Tell whether SuperTux tells its story: black bars above and below."""
    bars = np.concatenate((seen[: HEIGHT // 12], seen[-HEIGHT // 12 :]))
    return float(np.median(bars)) < 12.0


def begin_the_story(gamer: Gamer) -> None:
    """Begin a new game in SuperTux's menu, pass over what it tells, and enter its first level."""
    for _ in range(8):
        if is_told(gamer.glance()):
            break
        gamer.press("Enter")
        sleep(4.0)
    for _ in range(8):
        if not is_told(gamer.glance()):
            break
        gamer.press("Escape")
        sleep(3.0)
    sleep(3.0)
    gamer.photograph("map")
    gamer.press("ArrowDown", 0.3)
    sleep(4.0)
    chart = gamer.glance()
    for _ in range(6):
        gamer.press("Enter", 0.2)
        for _ in range(8):
            sleep(0.5)
            if apart(chart, gamer.glance()) > 30.0:
                # A card with its name goes before it, until a key is pressed.
                while float(np.median(gamer.glance())) < 60.0:
                    gamer.press("Enter", 0.2)
                    sleep(1.5)
                return
    raise AssertionError("no level begins")


def scrolled(before: Grey, after: Grey) -> float:
    """Return how far the picture has moved to the left, in parts of its width; 0 if unclear."""
    window = cv2.createHanningWindow((WIDTH, HEIGHT), cv2.CV_32F)
    (right, _), sure = cv2.phaseCorrelate(np.float32(before), np.float32(after), window)
    return -right / WIDTH if sure > 0.1 else 0.0


def run_and_jump(gamer: Gamer, chance: random.Random, seconds: float) -> tuple[float, int]:
    """Run to the right and jump over what is in the way; return screens passed, and jumps."""
    end, far, jumps = monotonic() + seconds, 0.0, 0
    seen = [gamer.glance()]
    gamer.hold("ArrowRight")
    while monotonic() < end:
        sleep(0.15)
        seen.append(gamer.glance())
        far += scrolled(seen[-2], seen[-1])
        stands = all(apart(one, other) < 4.0 for one, other in pairwise(seen[-3:]))
        if stands or chance.random() < 0.2:
            gamer.press("Space", chance.uniform(0.25, 0.6))
            jumps += 1
            seen.append(gamer.glance())
            far += scrolled(seen[-2], seen[-1])
    gamer.hold()
    return far, jumps


@pytest.mark.timeout(400)
def test_by_hand_the_first_minute_of_supertux(tmp_path: Path) -> None:
    name = "supertux2"
    profile = installed(name)
    folder = Path(os.environ.get("P2C2G_TRIALS", tmp_path))
    with session(profile, tmp_path) as (page, token, process):
        with gamer_at(f"{page}#play={token}", folder, name) as gamer:
            sleep(3.0)
            begin_the_story(gamer)
            gamer.photograph("0")
            far, jumps = run_and_jump(gamer, random.Random(7), MINUTE / 2)
            gamer.photograph("30")
            more = run_and_jump(gamer, random.Random(8), MINUTE / 2)
            gamer.photograph("60")
            heard = gamer.heard()
        assert process.poll() is None, "the session has ended"
    told(name, heard, screens=f"{far:.1f} and {more[0]:.1f}", jumps=jumps + more[1])
    assert far + more[0] > 2.0, "it did not come far"
    assert heard.loud() > 0.3
