"""What strangers' machines are like: speeds, ways and hours, from published figures.

==============  =========================================================================
what            where the figure is from
==============  =========================================================================
speed           Log-normal, as Heien, Kondo and Anderson found for the speed of SETI@home's
                hosts ("Correlated Resource Models of Internet End Hosts", 2011; for the
                log-normal see the journal's version, IEEE TPDS 23 (6), 2012).  The spread is
                that of their fit of Whetstone in 2006: mean 1,179 and variance 3.237 · 10⁵,
                so the standard deviation is 0.48 of the mean.  The median is not theirs: it
                is what P2C2G's own work takes on one core of the machine that
                ``docs/performance.md`` names.
round trip      Log-normal with the mean of the FCC's "Measuring Broadband America": 34.9 ms
                over all terrestrial techniques at peak hours, 24 on fibre, 32 on cable and 49
                on DSL.  The width is chosen so that fibre's and DSL's averages lie at about a
                third and five sixths of the hosts.
bandwidth       Log-normal around the medians of fixed lines in the USA at the end of 2022 in
                Ookla's Speedtest Global Index: 193.7 Mbit/s down and 22.6 up.  The width is
                that between its medians of single providers then: 10.7 up (Cox, cable) and
                142.8 (AT&T, mostly fibre).
hours           Two classes, as Douceur found in four populations of hosts ("Is remote host
                availability governed by a universal law?", 2003): machines that are always
                on, and machines that follow the day.  How many of each differs between the
                populations; :data:`ALWAYS_ON` is ours.  Javadi, Kondo, Vincent and Anderson
                ("Discovering Statistical Models of Availability in Large Distributed
                Systems", IEEE TPDS 22 (11), 2011) add that about 21 % of 230,000 hosts come
                and go at random: that is the scenario's churn.
slots           Ours, and no publication's: half of the cores of common machines, which is
                what a guest takes by default.
==============  =========================================================================

Speeds, ways and slots are drawn apart from each other.  That is kinder than the truth in one
respect (a slow machine may have a good line) and harsher in another.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

#: Seconds a megapixel of result that one slot takes, at the median: decode, bicubic ×2 with
#: sharpening, encode.
SERVICE_MEDIAN = 0.010
#: Standard deviation of speeds over their mean, and the log-normal's width that makes it.
SPEED_VARIATION = math.sqrt(3.237e5) / 1179
SPEED_SIGMA = math.sqrt(math.log(1 + SPEED_VARIATION**2))
#: Seconds of a round trip to the broker: mean, and the log-normal's width.
RTT_MEAN = 0.0349
RTT_SIGMA = 0.5
#: Bits a second: medians of fixed lines, and the log-normal's width.
DOWN_MEDIAN = 193.7e6
UP_MEDIAN = 22.6e6
BANDWIDTH_SIGMA = 1.0
#: Slots of a peer and how many of a hundred have so many.
SLOTS = ((1, 10), (2, 35), (4, 40), (8, 15))
#: Share of the hosts that are always on.
ALWAYS_ON = 0.5
#: How much one chunk's time differs from the next: the log-normal's width.
JITTER_SIGMA = 0.15


@dataclass(frozen=True, slots=True)
class Machine:
    """One peer's machine and line.

    Args:
        slots: chunks that it works on at once.
        seconds_per_megapixel: seconds a megapixel of result that one slot takes, on average.
        rtt: seconds to the broker and back.
        up: bits a second to the broker.
        down: bits a second from the broker.
        webp: megapixels of residuals a second that one slot writes as WebP; 0 where it cannot.
    """

    slots: int
    seconds_per_megapixel: float
    rtt: float
    up: float
    down: float
    webp: float = 0.0

    def writing(self, codec: str, megapixels: float) -> float:
        """Return the seconds that a residual takes beyond what it does as JPEG."""
        return megapixels / self.webp if codec == "webp" and self.webp else 0.0


@dataclass(frozen=True, slots=True)
class Machines:
    """Where machines come from; a value that is given holds for all of them.

    Args:
        rtt: seconds.
        seconds_per_megapixel: seconds a megapixel; the median, where ``spread`` is given too.
        spread: how many times as fast as the slowest the fastest is; the logarithms of the
            speeds are spread evenly.
        slots: chunks at once.
        bandwidth: bits a second, both ways.
        webp: as a machine's; there is no other figure.
        up: the same to the broker alone.
    """

    rtt: float | None = None
    seconds_per_megapixel: float | None = None
    spread: float | None = None
    slots: int | None = None
    bandwidth: float | None = None
    webp: float = 0.0
    up: float | None = None

    def draw(self, source: random.Random) -> Machine:
        """Return one machine; every call takes the same number of draws from ``source``."""
        speed = math.exp(source.gauss(0.0, SPEED_SIGMA))
        even = source.random()
        slots = source.choices([s for s, _ in SLOTS], [w for _, w in SLOTS])[0]
        rtt = math.exp(source.gauss(math.log(RTT_MEAN) - RTT_SIGMA**2 / 2, RTT_SIGMA))
        up = UP_MEDIAN * math.exp(source.gauss(0.0, BANDWIDTH_SIGMA))
        down = DOWN_MEDIAN * math.exp(source.gauss(0.0, BANDWIDTH_SIGMA))
        seconds_per_megapixel = (
            SERVICE_MEDIAN if self.seconds_per_megapixel is None else self.seconds_per_megapixel
        )
        if self.spread is not None:
            seconds_per_megapixel *= self.spread ** (even - 0.5)
        elif self.seconds_per_megapixel is None:
            seconds_per_megapixel /= speed
        return Machine(
            slots=self.slots or slots,
            seconds_per_megapixel=seconds_per_megapixel,
            rtt=rtt if self.rtt is None else self.rtt,
            up=self.up or self.bandwidth or up,
            down=self.bandwidth or down,
            webp=self.webp,
        )


def awake(now: float, day: float) -> float:
    """Return the share of the hosts that are on at ``now``; a day takes ``day`` seconds.

    The day begins at its height, so a run shows the pool shrink first.
    """
    swing = (1 + math.cos(2 * math.pi * now / day)) / 2
    return ALWAYS_ON + (1 - ALWAYS_ON) * swing
