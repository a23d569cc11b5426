"""Real forks: a signer of three is cut off from the others, seals an association, and is joined to them again.

The others' chain grows longer without that association; and so that it cannot simply be taken over, its tx_nonce is
used by another transaction there.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from chain_gateway.network import ChainNetwork
from chain_gateway.network.ipc import ask_node
from group_protocol.errors import Reason
from group_protocol.frames import Close, MasterFrame
from group_protocol.tickets import MembershipState
from tests.support.chain_master import ChainBench, master_on_chain
from tests.support.geth_network import run_network
from tests.support.parted_nodes import join_nodes, part_nodes
from tests.support.running_master import Device, DeviceStream

pytestmark = [pytest.mark.geth, pytest.mark.network, pytest.mark.processes, pytest.mark.timeout(300)]

SOON_S = 90.0
"""geth dials nobody twice within 35 s (p2p/dial.go), and may take 10 s more to ask for a chain (eth/sync.go)."""

LONGER_BY_BLOCKS = 4
PENDING_AFTER_S = 1.0


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainNetwork]:
    with run_network(tmp_path_factory.mktemp("forks") / "net") as network:
        yield network


class Cutter:
    """Cuts the first node off, and joins it again. It is the one that the master asks."""

    def __init__(self, network: ChainNetwork) -> None:
        self.layout = network.layout
        self.alone, *self.others = network.layout.nodes
        self.pairs = [(self.alone, other) for other in self.others]

    async def ask(self, card: Any, method: str, *params: object) -> Any:
        return await asyncio.to_thread(ask_node, self.layout.folder(card).socket, method, *params)

    async def height(self, card: Any) -> int:
        return int(await self.ask(card, "eth_blockNumber"), 16)

    async def cut(self) -> None:
        """The first node seals nothing meanwhile, so that its turn is not used up."""
        await self.ask(self.alone, "miner_stop")
        height = await self.height(self.alone)
        await soon(lambda: self.height(self.alone), lambda now: now >= height + 2)
        await asyncio.to_thread(part_nodes, self.layout, self.pairs)

    async def join(self) -> None:
        """Raises AssertionError if the nodes have met since they were parted: then the test has shown nothing."""
        assert await self.ask(self.alone, "net_peerCount") == "0x0"
        await asyncio.to_thread(join_nodes, self.layout, self.pairs)

    async def use_nonce_elsewhere(self) -> None:
        """The relayer's next tx_nonce goes to a transaction that does nothing, on the others' side."""
        account = Account.from_key(self.layout.relayer_key(0).read_text().strip())
        node = self.others[0]
        fields = {
            "chainId": int(await self.ask(node, "eth_chainId"), 16),
            "nonce": int(await self.ask(node, "eth_getTransactionCount", account.address, "latest"), 16),
            "to": account.address,
            "value": 0,
            "gas": 21_000,
            "gasPrice": 10**10,
        }
        raw = account.sign_transaction(fields).raw_transaction
        await self.ask(node, "eth_sendRawTransaction", raw.to_0x_hex())

    async def outgrow(self) -> None:
        """Until the others' chain is longer."""
        height = await self.height(self.alone)
        await soon(lambda: self.height(self.others[0]), lambda now: now >= height + LONGER_BY_BLOCKS)


async def soon(ask: Callable[[], Any], is_there: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(SOON_S):
        while not is_there(answer := await ask()):  # noqa: ASYNC110 - a node tells nobody
            await asyncio.sleep(0.1)
    return answer


async def read_to_the_close(stream: DeviceStream) -> MasterFrame:
    """The frame with which the master ends the stream; a fork takes longer to be told than one read waits."""
    async with asyncio.timeout(SOON_S):
        while True:
            with contextlib.suppress(TimeoutError):
                frame = await stream.receive()
                if isinstance(frame, Close):
                    return frame


@asynccontextmanager
async def master_and_member(
    network: ChainNetwork, folder: Path, **settings: Any
) -> AsyncIterator[tuple[ChainBench, Device]]:
    settings |= {"association_wait_s": PENDING_AFTER_S}
    async with master_on_chain(folder, network.layout, **settings) as bench:
        member = await bench.paired_device(1)
        await soon(member.associate, lambda result: result.state is MembershipState.ACTIVE)
        yield bench, member


async def associate_on_the_lone_side(bench: ChainBench, cutter: Cutter) -> Device:
    """A device whose association stands in a block that only the first node has."""
    device = await bench.paired_device(2)
    await cutter.cut()
    height = await cutter.height(cutter.alone)
    await device.associate()
    await soon(lambda: cutter.ask(cutter.alone, "txpool_status"), lambda status: status["pending"] != "0x0")
    await cutter.ask(cutter.alone, "miner_start")
    await soon(lambda: cutter.height(cutter.alone), lambda now: now > height)
    return device


async def test_fork_takes_a_membership_back_and_the_device_comes_again_with_m5(
    network: ChainNetwork, tmp_path: Path
) -> None:
    cutter = Cutter(network)
    async with master_and_member(network, tmp_path / "m") as (bench, member):
        device = await associate_on_the_lone_side(bench, cutter)
        await soon(device.associate, lambda result: result.state is MembershipState.ACTIVE)
        stream = await device.open_stream()
        await stream.receive_ack()
        await cutter.use_nonce_elsewhere()
        await cutter.outgrow()
        await cutter.join()
        assert await read_to_the_close(stream) == Close(Reason.NOT_A_MEMBER)
        assert (await device.send(device.record())).reason is Reason.NOT_A_MEMBER
        device.code = None
        assert (await device.open_session()).state is not MembershipState.ACTIVE
        await soon(device.associate, lambda result: result.state is MembershipState.ACTIVE)
        assert (await device.send(device.record(seq=1))).last_seq == 1
        assert (await member.send(member.record())).last_seq == 1


async def test_fork_below_the_confirmations_makes_nobody_a_member_who_is_none_and_loses_no_request(
    network: ChainNetwork, tmp_path: Path
) -> None:
    cutter = Cutter(network)
    async with master_and_member(network, tmp_path / "m", confirmations=2) as (bench, member):
        device = await associate_on_the_lone_side(bench, cutter)
        assert (await device.associate()).state is MembershipState.PENDING
        await cutter.use_nonce_elsewhere()
        await cutter.outgrow()
        assert (await device.associate()).state is MembershipState.PENDING
        await cutter.join()
        # Nobody asks again: the gateway's journal sends it under another tx_nonce.
        membership = bench.service.context.registry.membership
        async with asyncio.timeout(SOON_S):
            while not membership().is_active_member(device.gid, device.oid):  # noqa: ASYNC110 - the chain tells nobody
                await asyncio.sleep(0.1)
        began_s = time.monotonic()
        await soon(device.associate, lambda result: result.state is MembershipState.ACTIVE)
        assert time.monotonic() - began_s < SOON_S
        assert (await member.send(member.record())).last_seq == 1
