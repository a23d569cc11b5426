"""A gateway that is killed between signing, sending and the receipt neither loses an act nor does it twice."""

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chain_gateway import GatewayConfig, ReplicaTimes, SenderTimes, Web3Registry, open_registry
from chain_gateway.replica_store import ReplicaStore
from group_protocol.identifiers import GroupId
from group_protocol.membership import Membership, ObjectState
from tests.registry_suite.backends import Stage, set_stage
from tests.registry_suite.signers import oid_of
from tests.support.acting_child import POINTS
from tests.support.anvil import run_anvil, write_key
from tests.support.waiting import until

pytestmark = [pytest.mark.anvil, pytest.mark.network, pytest.mark.processes]

QUICK_SENDER = SenderTimes(rebroadcast_s=0.2, longest_poll_s=0.1)
QUICK_REPLICA = ReplicaTimes(poll_interval_s=0.05)
START_S = 60
CHILD = [sys.executable, "-m", "tests.support.acting_child"]


@pytest.fixture(scope="module")
def anvil_url() -> Iterator[str]:
    with run_anvil() as url:
        yield url


@pytest.fixture(params=["embedded", "anvil"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> GatewayConfig:
    embedded = GatewayConfig(tmp_path / "gateway", sender=QUICK_SENDER, replica=QUICK_REPLICA)
    if request.param == "embedded":
        return embedded
    key_file = write_key(tmp_path / "relayer.key")
    return replace(embedded, url=request.getfixturevalue("anvil_url"), relayer_key_file=key_file)


@dataclass(frozen=True)
class Acts:
    """One act of each kind, none of which waits for another."""

    gid: GroupId
    requests: list[tuple[str, object]]


async def prepare(registry: Web3Registry) -> tuple[Stage, Acts]:
    stage = await set_stage(registry)
    sign, gid = stage.sign, stage.sign.gid_of("master")
    await registry.create_group(sign.create_group("master"))
    for name in ("goes", "changes"):
        await registry.associate(sign.associate(name, gid, master="master"))
    requests: list[tuple[str, object]] = [
        ("create_group", sign.create_group("other-master")),
        ("associate", sign.associate("comes", gid, master="master")),
        ("anchor", sign.anchor(gid, signer="master")),
        ("revoke", sign.revoke(gid, oid_of("goes"), signer="master")),
        ("rotate", sign.rotate(gid, oid_of("changes"), old="changes", new="changed")),
    ]
    return stage, Acts(gid, requests)


def kill_at(point: str, config: GatewayConfig, acts: Acts, folder: Path) -> None:
    """Let a process come to the point in all acts, and kill it there."""
    reached, order = folder / "reached", folder / "acts.pickle"
    order.write_bytes(pickle.dumps((config, acts.requests)))
    command = [*CHILD, json.dumps({"acts": str(order), "point": point, "reached": str(reached)})]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline_s = time.monotonic() + START_S
        while not reached.exists() or len(reached.read_text().splitlines()) < len(acts.requests):
            if process.poll() is not None or time.monotonic() > deadline_s:
                process.kill()
                pytest.fail(f"the child did not come to {point}: {process.communicate()[1]}")
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)


def has_happened(membership: Membership, acts: Acts) -> bool:
    objects = membership.objects
    comes, goes, changes = (objects.get(oid_of(name)) for name in ("comes", "goes", "changes"))
    return (
        len(membership.groups) == 2
        and comes is not None
        and (goes is not None and goes.state is ObjectState.REVOKED)
        and (changes is not None and membership.groups[acts.gid].epoch == 3)
    )


@pytest.mark.parametrize("point", POINTS)
async def test_gateway_killed_at_any_point_goes_on_and_answers_who_asks_again(
    config: GatewayConfig, point: str, tmp_path: Path
) -> None:
    async with open_registry(config, time.time, deploy_if_missing=True) as registry:
        _, acts = await prepare(registry)
    await asyncio.to_thread(kill_at, point, config, acts, tmp_path)

    async with open_registry(config, time.time) as registry:
        asked_again = [getattr(registry, name)(request) for name, request in acts.requests]
        receipts = await asyncio.gather(*asked_again)
        assert has_happened(registry.membership(), acts)
        logs = await registry._replica._file.do(ReplicaStore.logs)
        kinds = Counter(registry._decoder.decode(log).__class__.__name__ for log in logs)
        assert kinds == {"GroupCreated": 2, "Associated": 3, "Anchored": 1, "Revoked": 1, "Rotated": 1}
        assert {receipt.position.transaction_hash for receipt in receipts} <= {log.transaction_hash for log in logs}
        # An act may be known from its event a moment before what the killed gateway signed for it is seen through.
        await until(lambda: registry._sender.open_calls == 0)


async def test_what_a_killed_gateway_signed_is_done_though_nobody_asks_again(
    config: GatewayConfig, tmp_path: Path
) -> None:
    async with open_registry(config, time.time, deploy_if_missing=True) as registry:
        _, acts = await prepare(registry)
    await asyncio.to_thread(kill_at, "signed", config, acts, tmp_path)
    async with open_registry(config, time.time) as registry, asyncio.timeout(30):
        while not has_happened(registry.membership(), acts):  # noqa: ASYNC110 - the chain tells nobody
            await asyncio.sleep(0.05)
