"""What has to be true of a device's records at any instant, whoever was killed: checked from its files and the store's.

The devices replay a recording whose samples are 0, 1, 2, …, from the beginning at each start. So the readings of a
device, in the order of their records, are runs that count up from zero without a gap, one run a start at most; and the
numbers of its records have no gap from 1 on, each in the store, or in the buffer, or on its way in both.
"""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from group_protocol.crypto.kdf import sha256
from group_protocol.senml import decode_readings
from slave_client.buffered_record import RowSealer
from slave_client.keystore import KeyStore
from slave_client.state_directory import StateDirectory
from tests.support.ward import Device


@dataclass(frozen=True)
class Waiting:
    """What a device's buffer holds at one instant.

    Attributes:
        acknowledged_through: As the device has noted it: it may have deleted everything up to here.
        payloads: By seq, of the records above.
        losses: Records that the device says it lost.
    """

    acknowledged_through: int
    payloads: dict[int, bytes]
    losses: int


def read_waiting(device: Device) -> Waiting:
    """One consistent look at the buffer's file, beside its daemon or after its end."""
    keys = KeyStore(StateDirectory(device.state_dir)).load_keys()
    assert keys is not None
    sealer = RowSealer(keys.storage_secret)
    with closing(read_only(device.state_dir / "buffer.db")) as database:
        database.execute("BEGIN")
        counters = dict(database.execute("SELECT name, value FROM counter"))
        for opening, salt in database.execute("SELECT id, salt FROM opening"):
            sealer.add_opening(opening, salt)
        through = int(counters.get("acknowledged_through", 0))
        payloads = {}
        for row in database.execute("SELECT * FROM record WHERE seq > ? ORDER BY seq", (through,)):
            record = sealer.open(*row)
            assert record is not None, f"{device.name}: row {row[0]} does not open"
            payloads[record.seq] = record.payload
        set_aside = database.execute("SELECT count(*) FROM set_aside").fetchone()[0]
    losses = sum(int(counters.get(name, 0)) for name in ("dropped", "unreadable", "set_aside"))
    return Waiting(through, payloads, losses + set_aside)


def read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30)


@dataclass
class Ledger:
    """One device's records as they were found so far.

    Attributes:
        hashes: Payload hashes of stored records that the device may still hold.
        runs: Runs of readings begun in the store.
        readings: Stored readings.
    """

    device: Device
    oid: bytes
    last_number: int = 0
    last_seq: int = 0
    last_value: float = -1.0
    runs: int = 0
    readings: int = 0
    hashes: dict[int, bytes] = field(default_factory=dict)

    def check(self, store: Path) -> None:
        """Hold everything against everything. The buffer is read before the store: records go from one to the other."""
        acknowledged_seq = self._acknowledged_seq()
        waiting = read_waiting(self.device)
        self._read_store(store)
        name = self.device.name
        assert waiting.losses == 0, f"{name} lost {waiting.losses} records"
        assert acknowledged_seq <= self.last_seq, (
            f"{name}: record {acknowledged_seq} was acknowledged and is not stored"
        )
        through = waiting.acknowledged_through
        assert through <= self.last_seq, f"{name}: {through} was acknowledged, the store ends at {self.last_seq}"
        held = list(waiting.payloads)
        assert held == list(range(through + 1, through + 1 + len(held))), f"{name}: records are missing in the buffer"
        for seq, payload in waiting.payloads.items():
            if seq in self.hashes:
                assert self.hashes[seq] == sha256(payload), f"{name}: record {seq} was stored with other content"
        assert self.runs <= self.device.starts, f"{name}: {self.runs} runs of readings in {self.device.starts} starts"
        self.hashes = {seq: digest for seq, digest in self.hashes.items() if seq > through}

    def check_whole_store(self, store: Path) -> None:
        """Once more from the beginning, as the store counts itself."""
        query = "SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM records WHERE oid = ?"
        with closing(read_only(store)) as database:
            counts = database.execute(query, (self.oid,)).fetchone()
        assert counts == (self.last_seq, self.last_seq, 1, self.last_seq)

    def _acknowledged_seq(self) -> int:
        ack = self.device.status().get("last_ack")
        return int(ack["last_seq"]) if ack else 0

    def _read_store(self, store: Path) -> None:
        query = "SELECT number, seq, payload, payload_hash FROM records WHERE oid = ? AND number > ? ORDER BY number"
        with closing(read_only(store)) as database:
            for number, seq, payload, payload_hash in database.execute(query, (self.oid, self.last_number)):
                assert seq == self.last_seq + 1, f"{self.device.name}: record {seq} is stored after {self.last_seq}"
                assert sha256(payload) == payload_hash
                self.last_number, self.last_seq = number, seq
                self.hashes[seq] = payload_hash
                self._take_readings(payload, seq)

    def _take_readings(self, payload: bytes, seq: int) -> None:
        for reading in decode_readings(payload):
            value = reading.value
            assert isinstance(value, float | int)
            if value == 0:
                self.runs += 1
            else:
                assert value == self.last_value + 1, (
                    f"{self.device.name}: {value} follows {self.last_value} in record {seq}"
                )
            self.last_value = float(value)
            self.readings += 1


def describe(ledgers: list[Ledger]) -> str:
    """One line of JSON: what was stored by whom."""
    return json.dumps({ledger.device.name: [ledger.last_seq, ledger.readings, ledger.runs] for ledger in ledgers})
