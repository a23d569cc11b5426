"""Many slaves that start at once: all associated, none lost, none twice.

``CROWD=1000`` makes the crowd bigger; ``make crowd`` does that, on the embedded chain and on anvil.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from chain_gateway import GatewayConfig, open_registry
from chain_gateway.config import BatchTerms
from group_protocol.identifiers import GroupId
from group_protocol.membership import Associated
from group_protocol.ports import Receipt
from tests.registry_suite.backends import Stage, set_stage
from tests.registry_suite.signers import oid_of
from tests.support.anvil import SECOND_RICH_KEY, run_anvil, write_key

CROWD = int(os.environ.get("CROWD", "200"))


async def associate_crowd(stage: Stage, gid: GroupId) -> list[Receipt]:
    """All at once, every tenth asking twice as one that lost its answer does."""
    wishes = [stage.sign.associate(f"device {number}", gid, master="master") for number in range(CROWD)]
    started_s = time.perf_counter()
    firsts = asyncio.gather(*(stage.registry.associate(wish) for wish in wishes), return_exceptions=True)
    again = asyncio.gather(*(stage.registry.associate(wish) for wish in wishes[::10]), return_exceptions=True)
    outcomes: list[Receipt | BaseException] = [*await firsts]
    took_s = time.perf_counter() - started_s
    outcomes += await again
    receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
    gas = sum({receipt.position.transaction_hash: receipt.gas for receipt in receipts}.values())
    transactions = len({receipt.position.transaction_hash for receipt in receipts})
    sys.stdout.write(f"{CROWD} devices in {took_s:.2f} s, {transactions} transactions, {gas / CROWD:,.0f} gas each\n")
    return receipts


def assert_all_once(stage: Stage, gid: GroupId, receipts: list[Receipt]) -> None:
    told = [receipt.event for receipt in receipts if isinstance(receipt.event, Associated)]
    assert Counter(event.oid for event in told) == {
        oid_of(f"device {number}"): 1 if number % 10 else 2 for number in range(CROWD)
    }
    assert len(set(told)) == CROWD, "who asked twice was told of the same event twice"
    assert len(stage.registry.membership().members(gid)) == 1 + CROWD
    assert len({receipt.position.transaction_hash for receipt in receipts}) < CROWD / 10, "they shared transactions"


async def test_crowd_on_the_embedded_chain_is_associated_whole_and_once(tmp_path: Path) -> None:
    async with open_registry(GatewayConfig(tmp_path), time.time, deploy_if_missing=True) as registry:
        stage = await set_stage(registry)
        gid = stage.sign.gid_of("master")
        await registry.create_group(stage.sign.create_group("master"))
        assert_all_once(stage, gid, await associate_crowd(stage, gid))


@pytest.mark.anvil
@pytest.mark.network
@pytest.mark.processes
@pytest.mark.parametrize("relayers", [1, 2])
async def test_crowd_on_a_chain_with_block_times_is_associated_whole_and_once(tmp_path: Path, relayers: int) -> None:
    with run_anvil("--block-time", "1") as url:
        config = GatewayConfig(tmp_path / "gateway", url=url, relayer_key_file=write_key(tmp_path / "1.key"))
        if relayers > 1:
            second = write_key(tmp_path / "2.key", SECOND_RICH_KEY)
            config = replace(config, more_relayer_key_files=(second,), batches=BatchTerms(at_once=2 * relayers))
        async with open_registry(config, time.time, deploy_if_missing=True) as registry:
            stage = await set_stage(registry)
            gid = stage.sign.gid_of("master")
            await registry.create_group(stage.sign.create_group("master"))
            assert_all_once(stage, gid, await associate_crowd(stage, gid))
            assert len(registry.relayers) == relayers
