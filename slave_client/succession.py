"""Who came after the master that this device has pinned: the slave's side of ``docs/protocol.md`` §3.5.

Nothing is remembered here. The pinned address stays on the disk until a master has proved the new key in M2 and shown,
by a ticket for this very device, that it is the same group's.
"""

from group_protocol.errors import BusyError, RemoteProtocolError
from group_protocol.identifiers import Address
from group_protocol.succession import Succession, SuccessionRequest
from slave_client.device_state import DeviceState
from slave_client.errors import MasterRefusalError
from slave_client.transport import Transport

_ROUNDS_MAX = 4
"""Answers hold 32 changes of key each; a device that missed more than all of these is paired anew."""


async def find_successor(transport: Transport, device: DeviceState) -> Address | None:
    """The newest master that the pinned one's signatures lead to; None if whoever answers cannot show any.

    Raises:
        BusyError, MasterUnreachableError: As they say.
    """
    address = device.master
    for _ in range(_ROUNDS_MAX):
        following = await _ask(transport, device, address)
        if following is None:
            break
        address = following
    return None if address == device.master else address


async def _ask(transport: Transport, device: DeviceState, master: Address) -> Address | None:
    try:
        body = await transport.post("/succession", SuccessionRequest(master).to_body())
        succession = Succession.from_body(body)
        successor = succession.verify(master)
    except BusyError:
        raise
    except (MasterRefusalError, RemoteProtocolError):
        return None
    place = device.enrolment
    told = (succession.gid, succession.identity.chain_id, succession.identity.contract)
    return successor if place is None or told == (place.gid, place.chain_id, place.contract) else None
