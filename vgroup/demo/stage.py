"""Where the demo plays: its directory, its processes, its screen, and what it has found so far."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vgroup.demo.actors import Master, Slave
from vgroup.demo.processes import Crew
from vgroup.demo.screen import Screen
from vgroup.demo.settings import EMBEDDED, DemoSettings
from vgroup.demo.summary import Check, Summary

_PREFIX: Final = "VGROUP_"


@dataclass(slots=True)
class Stage:
    """Passed to every part of the demo.

    Attributes:
        folder: Everything that the demo makes is in here.
        gas: Of the transactions whose gas was told so far.
    """

    settings: DemoSettings
    screen: Screen
    crew: Crew
    folder: Path
    summary: Summary
    master: Master
    slaves: list[Slave] = field(default_factory=list)
    gas: dict[str, int] = field(default_factory=dict)

    def check(self, claim: str, *, holds: bool, detail: str) -> None:
        """Note a claim, and show whether it held."""
        self.summary.checks.append(Check(claim, holds, detail))
        if holds:
            self.screen.done(f"{claim}: {detail}")
        else:
            self.screen.failed(f"{claim}: {detail}")

    @property
    def footer(self) -> str:
        """The line below the live table."""
        spent = f", {sum(self.gas.values()):,} gas" if self.gas else ""
        return f"master {self.master.host}:{self.master.port}, {self.summary.chain} block {self.summary.blocks}{spent}"


def make_environment(settings: DemoSettings, master_folder: Path) -> dict[str, str]:
    """What the demo's processes see: nothing of the user's own master and slaves, and a passphrase of the demo's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}
    chain = {} if settings.chain == EMBEDDED else {"VGROUP_MASTER_RELAYER_KEY_FILE": str(settings.key_file)}
    return {
        **inherited,
        **chain,
        "NO_COLOR": "1",
        "VGROUP_PASSPHRASE": secrets.token_urlsafe(16),
        "VGROUP_MASTER_DIR": str(master_folder),
        "VGROUP_MASTER_CHAIN": settings.chain,
        # A signature on every record, as in the paper: so each can be shown to the contract by itself.
        "VGROUP_MASTER_EVIDENCE_POLICY": "SIGNED",
        "VGROUP_SLAVE_BATCH_S": "0.5",
        "VGROUP_SLAVE_BACKOFF_LONGEST_S": "2",
    }
