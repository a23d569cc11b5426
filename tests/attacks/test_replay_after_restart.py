"""Everything that was recorded before a master's restart is refused after it, and nothing of it is done again."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from group_protocol.frames import Items, Open, encode_frame
from group_protocol.tickets import MembershipState
from tests.attacks.edge import POLICY_VIOLATION, REFUSED, Edge
from tests.attacks.master_process import ROOMY, MasterProcess

pytestmark = [pytest.mark.network, pytest.mark.processes]


@pytest.fixture
async def own_edge(tmp_path: Path) -> AsyncIterator[Edge]:
    master = MasterProcess(tmp_path / "m", **ROOMY)
    master.start()
    try:
        await master.ask("group.create", name="ward 3")
        async with aiohttp.ClientSession() as http:
            yield Edge(master, http)
    finally:
        master.stop()


async def test_recorded_messages_are_refused_after_a_restart_and_the_device_goes_on(own_edge: Edge) -> None:
    edge, device = own_edge, await own_edge.invited()
    _, m3 = await (await edge.invited()).ask_for_keys()
    own = device.begin()
    own_m3 = await edge.begin(own)
    await edge.exchange("/getTicket", own_m3.to_body())
    await device.open_session()
    requests = {"/getTicket": [m3.to_body(), own_m3.to_body(), device.m3.to_body()]}
    requests["/assoc"] = [device.session.control.seal_request(device.association().encode()).to_body()]
    await edge.exchange("/assoc", requests["/assoc"][0])
    requests["/data"] = [device.seal_items(device.record()).to_body() for _ in range(2)]
    await edge.exchange("/data", requests["/data"][0])
    stream = [device.session.stream_opening(encode_frame(Open()))]
    stream += [device.session.stream_out.seal(encode_frame(Items((device.record(),))))]

    edge.master.stop()
    edge.master.start()

    async with edge.master.unchanged():
        for path, bodies in requests.items():
            for body in bodies:
                assert await edge.ask(path, body) == REFUSED, path
        assert await edge.close_code_after(*stream) == POLICY_VIOLATION
    device.code = None
    ticket = await device.open_session()
    assert (ticket.state, ticket.last_seq) == (MembershipState.ACTIVE, 1)
    assert (await device.send(device.record(seq=1), device.record(seq=2))).last_seq == 2
    assert (await edge.master.ask("records.verify"))["good"] == 2
