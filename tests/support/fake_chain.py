"""The blocks and logs of a FakeRegistry, as a node would tell of them."""

from dataclasses import dataclass, fields
from typing import Any

from eth_utils.abi import function_abi_to_4byte_selector

from chain_gateway.node_answers import Block, RawLog
from contracts import load_artifact
from group_protocol.errors import Reason
from group_protocol.identifiers import Address
from group_protocol.membership import AssociationRefused, ChainEvent, GroupCreated
from tests.support.contract_logs import make_log
from tests.support.fake_registry import FakeRegistry, hash_of_block

NAMES = {
    "new_address": "newAddress",
    "new_master": "newMaster",
    "sender": "from",
    "receiver": "to",
    "payload_hash": "payloadHash",
    "from_record": "fromRecord",
    "to_record": "toRecord",
}
"""Where an event's field is called otherwise in the contract."""


@dataclass
class FakeChain:
    registry: FakeRegistry

    async def fetch_head(self) -> Block:
        block = await self.fetch_block(self.registry.block_number)
        assert block is not None
        return block

    async def fetch_block(self, number: int) -> Block | None:
        await self.registry.fetch_identity()
        if number > self.registry.block_number:
            return None
        time_unix_s = await self.registry.fetch_block_time()
        return Block(number, hash_of_block(number), hash_of_block(number - 1), time_unix_s, 0, 30_000_000)

    async def fetch_logs(self, contract: Address, first_block: int, last_block: int) -> list[RawLog]:
        await self.registry.fetch_identity()
        assert contract == self.registry.identity.contract
        chosen = [event for event in self.registry.log if first_block <= event.at.block_number <= last_block]
        return [log_of(event, contract) for event in chosen]


def log_of(event: ChainEvent, contract: Address) -> RawLog:
    values: dict[str, Any] = {
        NAMES.get(field.name, field.name): getattr(event, field.name) for field in fields(event) if field.name != "at"
    }
    if isinstance(event, GroupCreated):
        values["index"] = 1  # which no reader of ours looks at
    if isinstance(event, AssociationRefused):
        values["reason"] = selector_of(event.reason)
    log = make_log(
        type(event).__name__,
        block_number=event.at.block_number,
        log_index=event.at.log_index,
        block_hash=event.at.block_hash,
        address=contract,
        **values,
    )
    return RawLog(
        log.address,
        log.topics,
        log.payload,
        log.block_number,
        log.block_hash,
        event.at.transaction_hash,
        log.log_index,
    )


def selector_of(reason: Reason) -> bytes:
    name = "VirtualGroups_" + "".join(word.capitalize() for word in reason.name.split("_"))
    (entry,) = [each for each in load_artifact().abi if each.get("name") == name]
    return function_abi_to_4byte_selector({**entry, "type": "function"})  # type: ignore[arg-type]
