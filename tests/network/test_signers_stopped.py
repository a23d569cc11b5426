"""One signer of three stopped, then two: what still works, as ``docs/chain.md`` has it in its table."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chain_gateway.network import ChainNetwork
from group_protocol.errors import Reason
from group_protocol.frames import Ack, Items, decode_master_frame
from group_protocol.tickets import MembershipState
from tests.support.chain_master import ChainBench, master_on_chain
from tests.support.geth_network import geth, run_network
from tests.support.running_master import Device, DeviceStream

pytestmark = [pytest.mark.geth, pytest.mark.network, pytest.mark.processes, pytest.mark.timeout(300)]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "chain.md"
MARK = "<!-- held by tests/network/test_signers_stopped.py -->"
JSON = {"Content-Type": "application/json"}
STANDSTILL_S = 6.0
SOON_S = 20.0
PENDING_AFTER_S = 8.0


def documented_table() -> list[list[str]]:
    """Headings and rows of the table under the mark."""
    lines = DOCUMENT.read_text("utf-8").partition(MARK)[2].strip().split("\n\n")[0].splitlines()
    headings, _, *rows = ([cell.strip() for cell in line.strip("| ").split("|")] for line in lines)
    return [headings, *rows]


class Witness:
    """Tries everything in the table, and says in the table's words what became of it."""

    def __init__(self, network: ChainNetwork, bench: ChainBench) -> None:
        self.network = network
        self.bench = bench
        self.numbers = iter(range(1, 1_000))
        self.member: Device
        self.stream: DeviceStream
        self.acks: asyncio.Queue[Ack] = asyncio.Queue()
        self.hearing: asyncio.Task[None]
        self.waiting_devices: list[Device] = []
        self.revoked: Device
        self.waiting_revocations: list[asyncio.Task[object]] = []
        self.acts: dict[str, Callable[[], Awaitable[str]]] = {
            "blocks are sealed": self.seal,
            "the register is read": self.read,
            "a member's records": self.stream_a_record,
            "a device associates": self.associate,
            "a revocation": self.revoke,
            "the revoked device": self.use_revoked_device,
        }

    async def set_up(self) -> None:
        self.member = await self.join()
        self.stream = await self.member.open_stream()
        self.hearing = asyncio.create_task(self.hear_acks())
        self.to_revoke = [await self.join() for _ in range(3)]

    async def join(self) -> Device:
        device = await self.bench.paired_device(next(self.numbers))
        assert (await device.associate()).state is MembershipState.ACTIVE
        return device

    async def observe(self) -> dict[str, str]:
        return {name: await act() for name, act in self.acts.items()}

    async def height(self) -> int:
        health = await asyncio.to_thread(self.network.health)
        assert health.height is not None
        return health.height

    async def seal(self) -> str:
        """Block after block, or none: a signer that is left alone may finish the one that it had begun."""
        await asyncio.sleep(1)
        before = await self.height()
        await asyncio.sleep(STANDSTILL_S)
        return "yes" if await self.height() > before else "no"

    async def read(self) -> str:
        group = await self.bench.service.context.registry.fetch_group(self.member.gid)
        return "yes" if group is not None else "no"

    async def stream_a_record(self) -> str:
        record = self.member.record(epoch=self.bench.service.context.group.view().epoch)
        await self.stream.send(Items((record,)))
        async with asyncio.timeout(SOON_S):
            while (ack := await self.acks.get()).last_seq < record.seq:
                if ack.reason is not Reason.NONE:
                    return ack.reason.name
        return "acknowledged"

    async def hear_acks(self) -> None:
        """All the time: a peer that does not read does not answer the master's pings either."""
        async for message in self.stream.socket:
            frame = decode_master_frame(self.member.session.stream_in.open(message.data))
            assert isinstance(frame, Ack), frame
            self.acks.put_nowait(frame)

    async def associate(self) -> str:
        waiting, self.waiting_devices = self.waiting_devices, []
        device = await self.bench.paired_device(next(self.numbers))
        states = {(await each.associate()).state for each in (*waiting, device)}
        if states == {MembershipState.PENDING}:
            self.waiting_devices.append(device)
        return "/".join(state.name for state in states)

    async def revoke(self) -> str:
        if not self.waiting_revocations and not self.bench.service.context.waiting.revocations:
            self.revoked = self.to_revoke.pop()
            oid = self.revoked.oid.hex()
            self.waiting_revocations.append(asyncio.create_task(self.bench.operations.revoke_device(oid)))
        done: set[asyncio.Task[object]] = set()
        waiting: set[asyncio.Task[object]] = set()
        if self.waiting_revocations:
            done, waiting = await asyncio.wait(self.waiting_revocations, timeout=STANDSTILL_S)
        self.waiting_revocations = list(waiting)
        for revocation in done:
            revocation.result()
        # The command may have answered that the chain does not have it yet: then the master's queue sees it through.
        queued = self.bench.service.context.waiting.revocations
        ends_s = asyncio.get_running_loop().time() + STANDSTILL_S
        while queued and asyncio.get_running_loop().time() < ends_s:  # noqa: ASYNC110 - polled as the table's rest
            await asyncio.sleep(0.1)
        return "waits" if waiting or queued else "on the chain"

    async def use_revoked_device(self) -> str:
        body = self.revoked.seal_items(self.revoked.record()).to_body()
        async with self.bench.http.post(f"{self.bench.url}/data", data=body, headers=JSON) as answer:
            return "is cut off" if answer.status == 400 else "is served"


async def test_what_works_with_two_signers_of_three_and_with_one_is_what_the_document_says(tmp_path: Path) -> None:
    headings, *rows = documented_table()
    with run_network(tmp_path / "net") as network:
        async with master_on_chain(tmp_path / "m", network.layout, association_wait_s=PENDING_AFTER_S) as bench:
            witness = Witness(network, bench)
            await witness.set_up()
            seen = [await witness.observe()]
            for name in ("node-3", "node-2"):
                await asyncio.to_thread(network.stop, [name])
                seen.append(await witness.observe())
            await asyncio.to_thread(network.start, geth())
            await asyncio.to_thread(network.wait_until_well)
            seen.append(await witness.observe())
            witness.hearing.cancel()
    assert headings[1:] == ["three signers", "two", "one", "three again"]
    assert {row[0]: row[1:] for row in rows} == {name: [each[name] for each in seen] for name in witness.acts}
