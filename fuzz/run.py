"""Tries every target for its share of the time: by atheris, else by hypothesis.

``python -m fuzz.run --seconds 60 [TARGET …]`` exits with 1 where a target was broken, and says
with which bytes.  atheris follows the branches of our Python code; the libraries behind it are
not built for that, and only get mutations of valid pictures.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: Longest input, bytes: a little more than twice the seeds.
MAX_LENGTH = 16_384
#: Memory at which a target counts as broken, MiB: 256x256 pixels take next to nothing of it.
MAX_MEMORY = 1024
#: Seconds for one input.
MAX_SECONDS = 10


def by_atheris(name: str, seconds: int) -> bool:
    """Try one target in a process of its own; return whether it held."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "fuzz.run", "--one", name, "--seconds", str(seconds), folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds + 120,
            check=False,
        )
    lines = done.stdout.splitlines()
    if done.returncode:
        print("\n".join(lines[-40:]))
        return False
    print(f"  {next((line for line in reversed(lines) if line.startswith('Done')), 'done')}")
    return True


def one(name: str, seconds: int, folder: Path) -> None:
    """Run as the process of one target; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["p2c2g", "p2c2g_workers", "msgpack", "PIL"]):
        from fuzz.targets import SEEDS, TARGETS
    for number, seed in enumerate(SEEDS[name]):
        (folder / f"seed{number}").write_bytes(seed)
    atheris.Setup(
        [
            *(sys.argv[0], str(folder), f"-max_total_time={seconds}", f"-max_len={MAX_LENGTH}"),
            *(f"-rss_limit_mb={MAX_MEMORY}", f"-timeout={MAX_SECONDS}", "-seed=1"),
            f"-artifact_prefix={tempfile.gettempdir()}/p2c2g-{name}-",
        ],
        TARGETS[name],
    )
    atheris.Fuzz()


def by_hypothesis(name: str, seconds: int) -> bool:
    """Try one target in this process, for as long; return whether it held."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    from fuzz.targets import SEEDS, TARGETS

    changes = st.lists(st.tuples(st.integers(0, MAX_LENGTH), st.integers(0, 255)), max_size=8)

    @given(st.sampled_from(SEEDS[name]), changes, st.binary(max_size=64), st.integers(0, 64))
    @settings(
        max_examples=500,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    def hold(seed: bytes, flips: list[tuple[int, int]], more: bytes, cut: int) -> None:
        data = bytearray(seed)
        for place, value in flips:
            data[place % len(data)] = value
        TARGETS[name](bytes(data[: len(data) - cut]) + more)
        TARGETS[name](more)

    ends = time.monotonic() + seconds
    examples = 0
    while time.monotonic() < ends:
        try:
            hold()
        except Exception as error:  # noqa: BLE001 - any error is a finding
            print(f"  {type(error).__name__}: {error}", *getattr(error, "__notes__", ()), sep="\n")
            return False
        examples += 1000
    print(f"  {examples} inputs")
    return True


def main() -> int:
    """Try the targets; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", help="which; all where none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for all of them together")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.seconds, Path(asked.targets[0]))
        return 0
    from fuzz.targets import TARGETS

    unknown = set(asked.targets) - set(TARGETS)
    if unknown or asked.seconds < 1:
        print(f"Give seconds from 1, and targets among {', '.join(TARGETS)}.", file=sys.stderr)
        return 2
    chosen = asked.targets or list(TARGETS)
    random.Random(time.time_ns()).shuffle(chosen)
    how = by_atheris
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not here (pip install atheris, on Linux or macOS): hypothesis instead.")
        how = by_hypothesis
    share = max(1, asked.seconds // len(chosen))
    broken = []
    for name in chosen:
        print(f"{name}: {share} s", flush=True)
        if not how(name, share):
            broken.append(name)
    print(f"Broken: {', '.join(broken)}" if broken else f"All {len(chosen)} targets held.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
