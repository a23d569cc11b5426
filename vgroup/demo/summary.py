"""What the demo found, as one value: shown at the end, and written by ``--json`` (the format is in docs/demo.md)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from measure.wire.join_cost import JoinCost

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Check:
    """One claim and whether it held. ``detail`` says what was seen."""

    claim: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack on the running system.

    Attributes:
        name: What it is.
        attempt: What was sent, and where to.
        answer: What came back.
        is_refused: Whether that is the refusal that the protocol promises.
    """

    name: str
    attempt: str
    answer: str
    is_refused: bool


@dataclass(frozen=True, slots=True)
class GasUse:
    """Gas of the demo's transactions."""

    deployment: int
    group_creation: int
    associations: tuple[int, ...]
    revocation: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.deployment + self.group_creation + sum(self.associations) + self.revocation


@dataclass(frozen=True, slots=True)
class SlaveSummary:
    """One slave.

    Attributes:
        rate_hz: Samples a second in the recording itself; the demo replays it ``speed`` times as fast.
        records_sent: Records that it made and numbered.
        records_acknowledged: The highest number that it saw acknowledged.
        readings_taken: Samples that its sensor delivered.
        readings_stored: Samples in the master's export.
    """

    name: str
    oid: str
    recording: str
    rate_hz: float
    via: str
    is_revoked: bool
    join: JoinCost
    records_sent: int
    records_acknowledged: int
    records_stored: int
    readings_taken: int
    readings_stored: int


@dataclass(slots=True)
class Summary:
    """The whole demo. Filled in as it goes."""

    speed: float = 1.0
    streamed_s: float = 0.0
    wall_s: float = 0.0
    chain: str = ""
    chain_id: int = 0
    contract: str = ""
    gid: str = ""
    epoch: int = 0
    blocks: int = 0
    gas: GasUse | None = None
    slaves: list[SlaveSummary] = field(default_factory=list)
    attacks: list[Attack] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every attack was refused and every check held."""
        return all(attack.is_refused for attack in self.attacks) and all(check.holds for check in self.checks)

    @property
    def failures(self) -> Sequence[str]:
        """What did not hold, in words."""
        return [
            *(f"{attack.name}: {attack.answer}" for attack in self.attacks if not attack.is_refused),
            *(f"{check.claim}: {check.detail}" for check in self.checks if not check.holds),
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"format": FORMAT, "holds": self.holds, "failures": list(self.failures), **asdict(self)}

    def write(self, path: Path) -> None:
        """Write the JSON file. Raises ConfigurationError."""
        try:
            path.write_text(json.dumps(self.to_json(), indent=2) + "\n", "utf-8")
        except OSError as exc:
            raise ConfigurationError(
                f"cannot write {path}: {exc.strerror}", remedy="Choose another --json.", code=ErrorCode.FILE_UNUSABLE
            ) from exc
