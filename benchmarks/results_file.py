"""Results as files: raw values in pyperf's format (``pyperf show``, ``stats``, ``compare_to``), the table as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyperf

from benchmarks.machine import Description
from benchmarks.speed import Row
from benchmarks.timing import Samples


def write_samples(path: Path, collected: Mapping[str, Samples], machine: Description) -> None:
    """All values of all measurements, one pyperf benchmark for each, with the machine's description in each."""
    metadata = {name: value for name, value in machine.items() if not isinstance(value, list)}
    benchmarks = [
        pyperf.Benchmark(
            [
                pyperf.Run(
                    values,
                    metadata=metadata | {"name": f"{group} / {name}", "unit": "second", "clock": "CPU time"},
                    collect_metadata=False,
                )
            ]
        )
        for group, samples in collected.items()
        for name, values in samples.items()
    ]
    pyperf.BenchmarkSuite(benchmarks).dump(str(path), replace=True)


def write_table(path: Path, rows: Sequence[Row], machine: Description) -> None:
    """The rows with their targets and verdicts."""
    document = {"machine": machine, "rows": [row.as_json() for row in rows]}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
