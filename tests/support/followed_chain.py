"""A model of a chain with the contract's events in its blocks, and the event replica that follows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chain_gateway.config import ReplicaTimes
from chain_gateway.contract_abi import ContractAbi
from chain_gateway.events import EventDecoder
from chain_gateway.node_answers import RawLog
from chain_gateway.replica import EventReplica
from contracts import load_artifact
from group_protocol.identifiers import Address, GroupId, ObjectId, derive_object_id
from group_protocol.membership import ObjectState
from group_protocol.ports import RegistryIdentity
from tests.support.contract_logs import CONTRACT, make_log
from tests.support.model_node import CHAIN_ID, ModelNode

GID = GroupId(b"g" * 16)
MASTER = Address(b"m" * 20)
ABI = ContractAbi.from_json(load_artifact().abi)
QUICK = ReplicaTimes(poll_interval_s=0.005, longest_backoff_s=0.01, catch_up_timeout_s=60, blocks_per_request=100)
NEVER_POLLS = ReplicaTimes(poll_interval_s=3_600, catch_up_timeout_s=60, blocks_per_request=100)
FILE = "events.sqlite3"


def created() -> RawLog:
    return make_log("GroupCreated", gid=GID, master=MASTER, oid=derive_object_id(MASTER), index=1)


def address(number: int) -> Address:
    return Address(number.to_bytes(20, "big"))


def oid(number: int) -> ObjectId:
    return derive_object_id(address(number))


def associated(number: int) -> RawLog:
    return make_log("Associated", gid=GID, oid=oid(number), account=address(number))


def revoked(number: int, epoch: int) -> RawLog:
    return make_log("Revoked", gid=GID, oid=oid(number), epoch=epoch)


def make_replica(
    model: ModelNode,
    directory: Path,
    times: ReplicaTimes = QUICK,
    *,
    contract: Address = CONTRACT,
    confirmations: int = 0,
) -> EventReplica:
    return EventReplica(
        model.connect_gateway(),
        EventDecoder(ABI, contract),
        RegistryIdentity(CHAIN_ID, contract),
        path=directory / FILE,
        first_block=1,
        times=times,
        confirmations=confirmations,
    )


@asynccontextmanager
async def following(
    model: ModelNode,
    directory: Path,
    times: ReplicaTimes = QUICK,
    *,
    contract: Address = CONTRACT,
    confirmations: int = 0,
) -> AsyncIterator[EventReplica]:
    replica = make_replica(model, directory, times, contract=contract, confirmations=confirmations)
    try:
        await replica.start()
        yield replica
    finally:
        await replica.close()


def slaves(replica: EventReplica) -> set[ObjectId]:
    return {view.oid for view in replica.membership.objects.values() if view.state is ObjectState.SLAVE}


def chain_with_group() -> ModelNode:
    """Its group stands in block 1."""
    model = ModelNode()
    model.mine(created())
    return model
