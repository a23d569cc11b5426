"""What many kills came to, for whoever reads ``docs/durability.md``: ``benchmarks/results/kills.json``.

Written by a run of more than fifty kills, by each ward once it has passed every check: a run that fails writes nothing.
"""

import json
from pathlib import Path

from benchmarks.machine import describe_machine, source_root

RESULT = source_root() / "benchmarks" / "results" / "kills.json"
Document = dict[str, object]


def write_result(ward: str, result: Document, path: Path = RESULT) -> None:
    """Put one ward's result beside the other's; each has the machine that it ran on."""
    document = json.loads(path.read_text("utf-8")) if path.exists() else {}
    document[ward] = {"machine": describe_machine()} | result
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
