"""The benchmarks' command lines: one sentence and exit status 2 for what cannot be."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from p2c2g.errors import P2C2GError


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the usage above it."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def number(what: str, low: float, high: float) -> Callable[[str], float]:
    """Return a parser of numbers in a range, for argparse."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {low:g} to {high:g}")
        return value

    return parse


def whole(what: str, low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers in a range, for argparse."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {low} to {high}")
        return int(text)

    return parse


def new_file(suffix: str) -> Callable[[str], Path]:
    """Return a parser of paths of files to be written, for argparse; folders are made."""

    def parse(text: str) -> Path:
        path = Path(text)
        if path.suffix != suffix or path.is_dir():
            raise argparse.ArgumentTypeError(f"{text!r} is not a file's name that ends in {suffix}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise argparse.ArgumentTypeError(f"{text!r} cannot be written: {error}") from error
        return path

    return parse


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """Run a benchmark's main function with the command line, and exit with its status.

    A termination signal unwinds the stack, so that workers and brokers are ended.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.exit(main(sys.argv[1:]))
    except P2C2GError as error:
        sys.stderr.write(f"{Path(sys.argv[0]).name}: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(143)
