"""How this machine is: what is in use of it, and how warm it is.  None where nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from time import monotonic
from typing import Any, Final

import psutil

from p2c2g.messaging.metering import Meter, meter

#: Sensors of processors, by what Linux calls their chips.
_CHIPS: Final = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal", "cpu-thermal")
_MEGABIT: Final = 125_000


@dataclass(frozen=True, slots=True)
class Card:
    """A graphics card: ``load`` is a share, 0 to 1, ``temperature`` in degrees Celsius."""

    name: str
    load: float | None
    temperature: float | None


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine at a moment.

    Args:
        cpu: share of it that is in use, 0 to 1.
        own: share of it that this peer uses.
        memory: bytes that this peer has.
        temperature: of the processor, in degrees Celsius.
        card: the first graphics card that can be asked.
        up: megabits a second that this peer sends.
        down: megabits a second that come to it.
    """

    cpu: float | None
    own: float | None
    memory: int | None
    temperature: float | None
    card: Card | None
    up: float
    down: float


class MachineWatch:
    """Looks at the machine; shares and rates are since the look before.  For one caller.

    Args:
        line: counts what the line carries.
        clock: seconds, monotonic.
    """

    def __init__(self, line: Meter = meter, clock: Callable[[], float] = monotonic) -> None:
        self._line = line
        self._clock = clock
        self._process = psutil.Process()
        self._cards = _Cards()
        self._last = (clock(), _busy(), self._own(), line.up, line.down)

    def look(self) -> Machine:
        """Return how it is."""
        then, (total, busy), own, up, down = self._last
        self._last = now, (total_now, busy_now), own_now, up_now, down_now = (
            self._clock(), _busy(), self._own(), self._line.up, self._line.down,
        )  # fmt: skip
        seconds, passed = max(now - then, 1e-3), total_now - total
        share = _share(busy_now - busy, passed)
        return Machine(
            cpu=share,
            own=_share(own_now - own, passed),
            memory=self._memory(),
            temperature=temperature(),
            card=self._cards.look(),
            up=(up_now - up) / seconds / _MEGABIT,
            down=(down_now - down) / seconds / _MEGABIT,
        )

    def _own(self) -> float:
        try:
            times = self._process.cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)

    def _memory(self) -> int | None:
        try:
            return int(self._process.memory_info().rss)
        except psutil.Error:
            return None


def temperature() -> float | None:
    """Return the processor's, in degrees Celsius; the hottest of its sensors."""
    read: Any = getattr(psutil, "sensors_temperatures", None)
    if read is None:
        return None
    try:
        found = read()
    except (OSError, ValueError, RuntimeError):
        return None
    for chip in _CHIPS:
        degrees = [each.current for each in found.get(chip, ()) if 0 < each.current < 150]
        if degrees:
            return float(max(degrees))
    return None


class _Cards:
    """NVIDIA's cards, where their library is installed."""

    def __init__(self) -> None:
        self._library: Any = None
        if find_spec("pynvml") is None:
            return
        library: Any = import_module("pynvml")
        try:
            library.nvmlInit()
            self._card = library.nvmlDeviceGetHandleByIndex(0)
        except library.NVMLError:
            return
        self._library = library

    def look(self) -> Card | None:
        library = self._library
        if library is None:
            return None
        try:
            name = library.nvmlDeviceGetName(self._card)
            load = library.nvmlDeviceGetUtilizationRates(self._card).gpu / 100
            warm = library.nvmlDeviceGetTemperature(self._card, library.NVML_TEMPERATURE_GPU)
        except library.NVMLError:
            return None
        text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        return Card(text, float(load), float(warm))


def _busy() -> tuple[float, float]:
    """Return the seconds of all processors since the start, all of them and those in use."""
    times = psutil.cpu_times()
    spare = times.idle + getattr(times, "iowait", 0.0)
    used = times.user + times.system + getattr(times, "nice", 0.0)
    used += getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    return used + spare, used


def _share(part: float, whole: float) -> float | None:
    return None if whole <= 0 else min(1.0, max(0.0, part / whole))
