"""How much was taken in since the start."""

from collections import Counter
from dataclasses import dataclass, field

from group_protocol.intake import Intake


@dataclass(slots=True)
class IntakeCounts:
    """Committed records and checkpoints, and refused frames by reason."""

    records: int = 0
    checkpoints: int = 0
    refusals: Counter[str] = field(default_factory=Counter)

    def note(self, intake: Intake) -> None:
        """A frame is committed, or was refused."""
        self.records += len(intake.records)
        self.checkpoints += len(intake.checkpoints)
        if intake.refusal is not None:
            self.refusals[intake.refusal.reason.name] += 1
