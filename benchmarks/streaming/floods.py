"""Devices that send as fast as they are acknowledged: how many durable readings a second the master takes."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.streaming.generator import Plan
from benchmarks.streaming.processes import cpu_of, load_process, shipped_master

DEVICES = 20
"""As many as the peer has publishers."""
WARM_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Flood:
    """One way of sending.

    Attributes:
        frame_items_max: Most records in one wire message.
        readings_per_record: In one payload.
        window: Records of a device that are not acknowledged yet.
        anchor_minutes: The master's setting of that name; 0: never.
    """

    name: str
    evidence_policy: str
    frame_items_max: int
    readings_per_record: int
    window: int
    anchor_minutes: float = 15.0


FLOODS: Final = (
    Flood("checkpoints, one reading a wire message", "CHECKPOINTS", 1, 1, 400),
    Flood("checkpoints, one reading a wire message", "CHECKPOINTS", 1, 1, 100),
    Flood("checkpoints, one reading a wire message", "CHECKPOINTS", 1, 1, 20),
    Flood("checkpoints, one reading a record, many records a message", "CHECKPOINTS", 256, 1, 2_048),
    Flood("checkpoints, as the slave batches: 128 readings a record", "CHECKPOINTS", 256, 128, 64),
    Flood("every record signed and verified, one reading each", "SIGNED", 256, 1, 1_024),
)
ANCHORED: Final = tuple(
    Flood("checkpoints, one reading a wire message", "CHECKPOINTS", 1, 1, 400, minutes) for minutes in (0, 0.1, 0, 0.1)
)
"""With anchors every six seconds and without, in turns: ten times as often as a master that anchors each minute."""


@dataclass(frozen=True, slots=True)
class FloodRun:
    """What one run showed; CPU in µs for each reading, of all the master's processes and of the devices."""

    name: str
    evidence_policy: str
    devices: int
    frame_items_max: int
    readings_per_record: int
    window: int
    anchor_minutes: float
    seconds: float
    readings_per_s: float
    master_cpu_us: float
    device_cpu_us: float
    rss_mib: float
    acknowledged_records: int
    verified_records: int

    def as_json(self) -> dict[str, object]:
        """For the results file."""
        return asdict(self)


class UnverifiedError(RuntimeError):
    """What was acknowledged and what ``vgroup records verify`` finds good are not the same."""


async def run_flood(flood: Flood, for_s: int, parent: Path | None, *, devices: int = DEVICES) -> FloodRun:
    """On a fresh master. Every acknowledged record is verified again afterwards. Raises UnverifiedError."""
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        settings = {"evidence_policy": flood.evidence_policy, "anchor_minutes": flood.anchor_minutes}
        async with shipped_master(Path(folder), settings) as master:
            codes = await master.make_codes(devices)
            plan = Plan(
                port=master.port,
                master=master.address,
                codes=codes,
                frame_items_max=flood.frame_items_max,
                readings_per_record=flood.readings_per_record,
                window=flood.window,
            )
            async with load_process(plan) as load:
                await load.wait_for_joins()
                await load.go()
                while (await load.next_sample())["streaming"] < devices:
                    pass
                for _ in range(WARM_SAMPLES):
                    await load.next_sample()
                began = await load.next_sample()
                master_began_s = cpu_of(master.processes)
                for _ in range(for_s - 1):
                    await load.next_sample()
                ended = await load.next_sample()
                master_cpu_s = cpu_of(master.processes) - master_began_s
                rss_mib = master.rss_mib()
                final = await load.stop()
            report = await master.ask("records.verify")
    records = final["acknowledged"] // flood.readings_per_record
    if report["good"] != records or not report["is_good"]:
        raise UnverifiedError(f"{records} records were acknowledged; the store: {report}")
    readings = ended["acknowledged"] - began["acknowledged"]
    seconds = ended["at_s"] - began["at_s"]
    return FloodRun(
        **asdict(flood),
        devices=devices,
        seconds=seconds,
        readings_per_s=readings / seconds,
        master_cpu_us=master_cpu_s / max(1, readings) * 1e6,
        device_cpu_us=(ended["cpu_s"] - began["cpu_s"]) / max(1, readings) * 1e6,
        rss_mib=rss_mib,
        acknowledged_records=records,
        verified_records=report["good"],
    )
