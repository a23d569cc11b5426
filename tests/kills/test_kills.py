"""SIGKILL at random instants under load: nothing acknowledged is lost, nothing is stored twice, evidence holds.

Fifty kills as a test, half of them where the chain lives in a gateway of its own; ``make kill-test KILLS=1000 SEED=7``
for more. A line for each kill goes to ``kills.log`` beside the processes' own logs.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.kills.ledger import Ledger, describe, read_waiting
from tests.kills.result import Document, write_result
from tests.kills.schedule import Kill, draw_kills
from tests.support.ward import Device, Ward, wait_until

KILLS = int(os.environ.get("KILLS", "50")) // 2
"""Of each of the two wards."""
SEED = int(os.environ.get("SEED", "1"))
VERIFY_EVERY = 100
"""Kills between two questions to the master whether its evidence holds; and at the end."""


@pytest.fixture(params=[False, True], ids=["chain in the master", "chain in a gateway"])
def ward(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ward]:
    ward = Ward(tmp_path, has_gateway=request.param)
    try:
        ward.open()
        yield ward
    finally:
        ward.close()


class Killing:
    """Carries a schedule out on a ward."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.ledgers = [Ledger(device, ward.oids[device.name]) for device in ward.devices]
        self.blows = self.checks = 0
        self.hits: dict[str, int] = {victim.name: 0 for victim in ward.victims}

    def carry_out(self, kill: Kill) -> None:
        """Wait, strike, check, start again."""
        if kill.is_under_load:
            self.ward.wait_until_all_stream()
        time.sleep(kill.wait_s)
        struck = [self.ward.victims[index] for index in kill.victims]
        for victim in struck:
            victim.kill()
            self.blows += 1
            self.hits[victim.name] += 1
        self.check()
        for victim in struck:
            victim.start()

    def result(self, seed: int, seconds: float, report: Mapping[str, Any]) -> Document:
        """What was done to this ward, and what its master found at the end."""
        return {
            "seed": seed,
            "kills": self.blows,
            "hits": self.hits,
            "seconds": round(seconds),
            "checks": self.checks,
            "records": {ledger.device.name: ledger.last_seq for ledger in self.ledgers},
            "verified": {name: report[name] for name in ("good", "bad", "waiting", "missing")},
        }

    def check(self) -> None:
        """Every device's records are accounted for."""
        self.checks += 1
        for ledger in self.ledgers:
            ledger.check(self.ward.master.store)

    def check_evidence(self) -> None:
        """The master's own verification of signatures, checkpoints and the audit chain."""
        master = self.ward.master
        report = master.ask("records.verify")
        assert (report["is_good"], report["bad"], report["missing"]) == (True, 0, 0), report
        master.ask("audit.verify")


def deliver_everything(device: Device) -> None:
    """End a device in good order: what it has is delivered and under evidence."""

    def has_delivered() -> bool:
        return not read_waiting(device).payloads

    device.stop()
    if (
        not has_delivered()
    ):  # more than fits into the seconds that a stopping daemon takes for it: let it end on its own
        device.start()
        wait_until(lambda: len(read_waiting(device).payloads) < 200, f"{device.name} keeps its backlog", device.tail)
        device.stop()
    assert has_delivered(), f"{device.name} still holds records: {device.tail()}"


@pytest.mark.network
@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(0 if KILLS > 50 else 600)
def test_kills_at_random_instants_lose_nothing_and_store_nothing_twice(ward: Ward, tmp_path: Path) -> None:
    print(f"SEED={SEED} KILLS={KILLS} of this ward")  # noqa: T201 - to have the same run again
    killing = Killing(ward)
    ward.wait_until_all_stream()
    weights = [1.0 for _ in ward.victims]
    began_s = time.monotonic()
    with (tmp_path / "kills.log").open("w") as log:
        for kill in draw_kills(SEED, weights):
            before = killing.blows
            killing.carry_out(kill)
            log.write(f"{time.monotonic() - began_s:.1f} s {killing.blows} {kill} {describe(killing.ledgers)}\n")
            log.flush()
            if before // VERIFY_EVERY != killing.blows // VERIFY_EVERY:
                killing.check_evidence()
            if killing.blows >= KILLS:
                break

    ward.wait_until_all_stream()
    for device in ward.devices:
        deliver_everything(device)
    killing.check()
    for ledger in killing.ledgers:
        ledger.check_whole_store(ward.master.store)
        assert ledger.last_seq > 0
    assert KILLS < 25 or all(killing.hits.values()), killing.hits
    report: dict[str, Any] = {}
    for words in (("records", "verify", "--json"), ("audit", "verify")):
        done = ward.master.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        if words[0] == "records":
            report = json.loads(done.stdout)
            assert (report["bad"], report["waiting"], report["missing"]) == (0, 0, 0)
            assert report["good"] == sum(ledger.last_seq for ledger in killing.ledgers)
    ward.master.stop()
    for victim in ward.victims:
        assert "Traceback" not in victim.log.read_text("utf-8", "replace"), victim.tail()
    print(f"{killing.hits} {describe(killing.ledgers)}")  # noqa: T201 - what was done
    if KILLS > 25:
        place = "chain in a gateway" if ward.gateway else "chain in the master"
        write_result(place, killing.result(SEED, time.monotonic() - began_s, report))


def test_same_seed_draws_the_same_kills() -> None:
    weights = [2.0, 1.0, 1.0, 1.0]
    drawn = list(islice(draw_kills(7, weights), 200))
    assert drawn == list(islice(draw_kills(7, weights), 200))
    assert drawn != list(islice(draw_kills(8, weights), 200))
    assert {index for kill in drawn for index in kill.victims} == {0, 1, 2, 3}
    assert {kill.is_under_load for kill in drawn} == {True, False}
