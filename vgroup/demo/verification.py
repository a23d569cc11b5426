"""Last part: is everything there, is it what was sent, and does every signature hold?"""

import asyncio
import csv
from pathlib import Path
from typing import Final

from measure.wire.join_cost import JoinCost
from vgroup.demo.actors import Slave
from vgroup.demo.comparison import StoredSample, find_differences
from vgroup.demo.messages import MESSAGE_NAME
from vgroup.demo.stage import Stage
from vgroup.demo.summary import SlaveSummary

_EXPORT: Final = "export.csv"


async def stop_slaves(stage: Stage) -> None:
    """Tell all slaves to stop; each delivers what it has first."""
    stage.screen.heading("What is left")
    stage.screen.doing("the slaves deliver what they have, and stop")
    running = [slave for slave in stage.slaves if not slave.is_revoked]
    statuses = await asyncio.gather(*(slave.member.stop() for slave in running if slave.member))
    for slave in stage.slaves:
        slave.read_status()
    late = [slave.name for slave in running if slave.records_acknowledged != slave.records_sent]
    if running:
        stage.check(
            "the slaves stop in good order",
            holds=not any(statuses) and not late,
            detail=f"{', '.join(late)} did not deliver everything, exit statuses {statuses}"
            if late or any(statuses)
            else f"{sum(slave.records_sent for slave in running):,} records, each acknowledged",
        )


async def verify_store(stage: Stage) -> None:
    """Have the master verify every signature and its audit log, and export the readings."""
    stage.screen.doing("verifying every stored record's signature, exporting the readings")
    report, audit, _ = await asyncio.gather(
        stage.crew.run_json("verify", "records", "verify", may_find=True),
        stage.crew.run_json("audit", "audit", "verify", may_find=True),
        stage.crew.run("export", "records", "export", "--output", str(stage.folder / _EXPORT)),
    )
    stage.check(
        "every stored record carries its device's signature",
        holds=report["is_good"] and not report["waiting"] and report["good"] > 0,
        detail=f"{report['good']:,} good, {report['bad']:,} bad, {report['waiting']:,} without",
    )
    stage.check(
        "the audit log is whole",
        holds=audit["is_good"],
        detail=f"{audit['entries']:,} entries, chained" if audit["is_good"] else audit["problem"],
    )


async def compare_samples(stage: Stage) -> None:
    """Compare the exported readings with the recordings, sample by sample, slave by slave."""
    stage.screen.doing("comparing what is stored with the recordings")
    stored = await asyncio.to_thread(read_export, stage.folder / _EXPORT)
    for slave in stage.slaves:
        _compare(stage, slave, stored.get(slave.oid, []))
    strangers = stored.keys() - {slave.oid for slave in stage.slaves}
    stage.check("nobody else's record is stored", holds=not strangers, detail=f"{len(strangers)} other devices")


def read_export(path: Path) -> dict[str, list[StoredSample]]:
    """The samples of an export, by oid, in its order."""
    stored: dict[str, list[StoredSample]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["sensor"] == MESSAGE_NAME:
                continue
            sample = StoredSample(int(row["seq"]), float(row["time_unix_s"]), float(row["value"]))
            stored.setdefault(row["oid"], []).append(sample)
    return stored


def _compare(stage: Stage, slave: Slave, stored: list[StoredSample]) -> None:
    differences = find_differences(
        slave.recording, stored, acknowledged=slave.records_acknowledged, others=slave.messages
    )
    if not slave.is_revoked and len(stored) != slave.readings:
        differences.append(f"its sensor took {slave.readings:,} samples, {len(stored):,} are stored")
    stage.check(
        f"{slave.name} stored as recorded",
        holds=bool(stored) and not differences,
        detail="; ".join(differences) or f"{len(stored):,} samples of {slave.recording.name}, each the same"
        if stored
        else "nothing is stored",
    )
    if slave.join is not None:
        stage.summary.slaves.append(_summarise(slave, slave.join, stored))


def _summarise(slave: Slave, join: JoinCost, stored: list[StoredSample]) -> SlaveSummary:
    return SlaveSummary(
        name=slave.name,
        oid=slave.oid,
        recording=slave.recording.name,
        rate_hz=round(slave.recording.rate_hz, 3),
        via=slave.via,
        is_revoked=slave.is_revoked,
        join=join,
        records_sent=slave.records_sent,
        records_acknowledged=slave.records_acknowledged,
        records_stored=len({sample.seq for sample in stored} | slave.messages),
        readings_taken=slave.readings,
        readings_stored=len(stored),
    )
