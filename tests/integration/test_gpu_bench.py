"""The benchmark of a card runs on PyTorch's CPU device, and refuses what cannot be."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import gpu
from benchmarks.gpu_report import Row, memory_table, told
from p2c2g.errors import P2C2GError, UnavailableError, UsageError
from p2c2g_workers import nets

needs_torch = pytest.mark.skipif(
    (find_spec("torch") is None or nets.MISSING) and os.environ.get("CI", "").lower() != "true",
    reason="needs PyTorch and onnx: pip install 'p2c2g[cuda]'",
)


def test_a_row_tells_rate_time_and_ratio() -> None:
    row = Row("engine", "decoded by the processor", 4, 250.0, 0.71, "model alone")
    assert told(row) == (
        "| engine | decoded by the processor | 4 | 250.0/s | 4.00 ms | 0.71 × model alone |"
    )


def test_memory_is_a_table_by_size_and_batch() -> None:
    rows = [
        {"size": "160x90", "batch": 1, "peak": 3 << 20, "told": True},
        {"size": "160x90", "batch": 2, "peak": None, "told": True},
    ]
    assert memory_table(rows).splitlines()[2] == "| 160x90 | 3 | none |"


@needs_torch
def test_it_runs_from_end_to_end_and_says_what_it_ran_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "--device cpu --size 32x18 --net ml-tiny --most 2 --threads 2 --seconds 0.01"
    assert gpu.main([*arguments.split(), "--out", str(tmp_path)]) == 0
    told_out = capsys.readouterr().out
    assert "says nothing of a card" in told_out
    report = json.loads((tmp_path / "gpu.json").read_text())
    tables = {row["table"] for row in report["rows"]}
    assert tables == {"operations", "model", "engine"}
    assert all(row["per_second"] > 0 for row in report["rows"])
    assert all(row["peak"] > 0 and not row["told"] for row in report["memory"])
    assert {"torch", "machine", "device", "net"} <= set(report["about"])


@needs_torch
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--device", "kettle"], UsageError),
        (["--device", "cuda:63"], UnavailableError),
        (["--device", "cpu", "--size", "wide"], UsageError),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments: list[str], error: type[P2C2GError]) -> None:
    with pytest.raises(error, match=r"give|finds no"):
        gpu.main(arguments)
