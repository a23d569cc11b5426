"""The paper's literal flow on loopback, as the twin tests attack it. It lives in ``measure/paper_baseline``."""

from dataclasses import dataclass

from measure.paper_baseline.client import PaperClient
from measure.paper_baseline.master import MasterKeys, PaperMaster
from measure.paper_baseline.slave import Device


@dataclass(frozen=True)
class PapersFlow:
    """Master and client on loopback sockets; an honest device and somebody else's."""

    keys: MasterKeys
    master: PaperMaster
    port: int
    client: PaperClient
    device: Device
    attacker: Device

    @property
    def readings(self) -> list[bytes]:
        """All that the master has taken, in its order."""
        return [received.reading for received in self.master.received]
