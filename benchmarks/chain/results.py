"""The results file: raw values, with what they were measured on and how busy the machine was."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from benchmarks.machine import describe_machine

FILE = "chain.json"
_DIGITS = 6


@dataclass
class Results:
    """Values by part and chain. Each has beside it when it was measured, under what load, and the operator's note."""

    folder: Path
    document: dict[str, Any]
    note: str

    @classmethod
    def read(cls, folder: Path, note: str = "") -> Self:
        """What the folder holds so far."""
        path = folder / FILE
        document = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return cls(folder, document, note)

    def put(self, part: str, site: str, values: Any) -> None:  # noqa: ANN401 - JSON
        """Replace what is known of a part on a chain."""
        measured = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "load_average": [round(load, 2) for load in os.getloadavg()],
            "note": self.note,
        }
        self.document.setdefault(part, {})[site] = {"measured": measured, "values": _rounded(values)}
        self.write()

    def values(self, part: str) -> dict[str, Any]:
        """Values by chain."""
        return {site: entry["values"] for site, entry in self.document.get(part, {}).items()}

    def measured(self, part: str, site: str) -> dict[str, Any]:
        """When, under what load, and the note."""
        found: dict[str, Any] = self.document[part][site]["measured"]
        return found

    def write(self) -> None:
        """Into the folder."""
        self.document["machine"] = describe_machine()
        text = json.dumps(self.document, ensure_ascii=False, separators=(",", ":"))
        (self.folder / FILE).write_text(text.replace('{"devices"', '\n{"devices"') + "\n", "utf-8")


def _rounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
