"""Our slave for a run: the product's own joining and transport, on the way that is measured."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from group_protocol.crypto.aead import Aead
from group_protocol.errors import Reason
from group_protocol.frames import Ack, decode_master_frame
from group_protocol.messages import SealedAnswer, SealedRequest
from group_protocol.pairing import PairingString
from group_protocol.suites import Suite
from measure.bench.device import BenchDevice
from measure.errors import MeasurementError
from slave_client.device_state import DeviceState, JoinStep
from slave_client.joining import Joining, Offer
from slave_client.keystore import KeyStore
from slave_client.processor import preferred_aeads
from slave_client.state_directory import StateDirectory
from slave_client.transport import Transport
from system_ports.randomness import SystemRandom


@dataclass(frozen=True, slots=True)
class JoinedSlave:
    """A member with an open session."""

    device: BenchDevice
    transport: Transport
    pairing: PairingString

    async def send(self, body: bytes) -> None:
        """Send a prepared data message and wait for its acknowledgement.

        Raises:
            MeasurementError: It was not taken.
            VirtualGroupError: The master could not be reached, or answered something else.
        """
        request = SealedRequest.from_body(body)
        answer = SealedAnswer.from_body(await self.transport.post("/data", body))
        frame = decode_master_frame(self.device.session.data.open_answer(request.seq, answer))
        if not isinstance(frame, Ack) or frame.reason is not Reason.NONE:
            raise MeasurementError(f"the master did not take the record: {frame}")


@asynccontextmanager
async def joined_slave(
    folder: Path, pairing: PairingString, port: int, *, suites: tuple[Suite, ...] = (Suite.E1,),
    aeads: tuple[Aead, ...] | None = None,
) -> AsyncIterator[JoinedSlave]:  # fmt: skip
    """Pair, exchange keys and associate, M1 to M6.

    Args:
        folder: A new state directory.
        pairing: The invitation.
        port: Where to connect, in place of the invitation's port: a proxy's perhaps.
        suites: What to offer. E1 is the nearest to the paper's elliptic curves.
        aeads: What to offer; None for what suits the processor.
    """
    with StateDirectory(folder) as directory:
        store = KeyStore(directory)
        keys = await asyncio.to_thread(store.make_keys, SystemRandom())
        state = DeviceState(JoinStep.PAIRED, pairing.master, pairing.host, port, pairing.code)
        await asyncio.to_thread(store.store_state, state)
        offer = Offer(suites, aeads or preferred_aeads())
        joining = Joining(store, keys, state, offer=offer, random=SystemRandom(), report=lambda _line: None)
        async with Transport(pairing.host, port) as transport:
            opened = await joining.open_session(transport)
            await joining.associate(transport, opened)
            yield JoinedSlave(BenchDevice(opened.key, opened.ticket, opened.session, opened.domain), transport, pairing)
