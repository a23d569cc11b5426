"""A group's anchors out of the replica, for every registry that has one."""

from chain_gateway.contract_abi import ContractAbi
from chain_gateway.events import EventDecoder
from chain_gateway.replica import EventReplica
from group_protocol.identifiers import GroupId
from group_protocol.membership import Anchored, first_anchors


async def fetch_anchor_events(
    replica: EventReplica, abi: ContractAbi, decoder: EventDecoder, gid: GroupId
) -> list[Anchored]:
    """See :meth:`group_protocol.ports.GroupRegistry.fetch_anchors`. Raises RegistryUnavailable."""
    logs = await replica.find_logs(abi.event_topic(Anchored.__name__), gid)
    events = [decoder.decode(log) for log in logs]
    return first_anchors(event for event in events if isinstance(event, Anchored) and event.gid == gid)
