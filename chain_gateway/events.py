"""The contract's logs as events of the core (``group_protocol.membership``), strictly."""

from collections.abc import Callable, Iterable
from typing import Any

from chain_gateway.contract_abi import ContractAbi
from chain_gateway.node_answers import RawLog
from chain_gateway.refusals import reason_of_selector
from group_protocol.errors import RegistryInconsistent
from group_protocol.identifiers import Address, GroupId, ObjectId
from group_protocol.membership import (
    Anchored,
    Associated,
    AssociationRefused,
    ChainEvent,
    ChainPosition,
    ExchangeRecorded,
    GroupCreated,
    MasterRotated,
    Revoked,
    Rotated,
)

_Values = dict[str, Any]
_Builder = Callable[[_Values, ChainPosition], ChainEvent]


class EventDecoder:
    """Turns one contract's logs into events."""

    def __init__(self, abi: ContractAbi, contract: Address) -> None:
        self._abi = abi
        self._contract = contract
        self._builders: dict[str, _Builder] = {**_BUILDERS, "AssociationRefused": self._association_refused}

    def decode(self, log: RawLog) -> ChainEvent:
        """One log of the contract.

        Raises:
            RegistryInconsistent: Another contract's log, an event that ours does not have, or malformed words.
        """
        if log.address != self._contract:
            raise RegistryInconsistent(f"a log of 0x{log.address.hex()} stands among the contract's")
        name, values = self._abi.decode_event(log)
        return self._builders[name](values, position_of(log))

    def decode_ours(self, logs: Iterable[RawLog]) -> list[ChainEvent]:
        """Events of our contract among the logs of a receipt, in order."""
        return [self.decode(log) for log in logs if log.address == self._contract]

    @property
    def event_names(self) -> frozenset[str]:
        """Names of the events that can be decoded."""
        return frozenset(self._builders)

    def _association_refused(self, values: _Values, at: ChainPosition) -> AssociationRefused:
        reason = reason_of_selector(self._abi, values["reason"])
        return AssociationRefused(GroupId(values["gid"]), values["index"], reason, at)


def position_of(log: RawLog) -> ChainPosition:
    """Where a log stands."""
    return ChainPosition(log.block_number, log.log_index, log.block_hash, log.transaction_hash)


def parse_abi_address(text: str) -> Address:
    """An address as eth_abi decodes it (0x and 40 hex digits) in 20 bytes."""
    return Address(bytes.fromhex(text[2:]))


def _group_created(values: _Values, at: ChainPosition) -> GroupCreated:
    return GroupCreated(GroupId(values["gid"]), parse_abi_address(values["master"]), ObjectId(values["oid"]), at)


def _associated(values: _Values, at: ChainPosition) -> Associated:
    return Associated(GroupId(values["gid"]), ObjectId(values["oid"]), parse_abi_address(values["account"]), at)


def _revoked(values: _Values, at: ChainPosition) -> Revoked:
    return Revoked(GroupId(values["gid"]), ObjectId(values["oid"]), values["epoch"], at)


def _rotated(values: _Values, at: ChainPosition) -> Rotated:
    new_address = parse_abi_address(values["newAddress"])
    return Rotated(GroupId(values["gid"]), ObjectId(values["oid"]), new_address, values["epoch"], at)


def _master_rotated(values: _Values, at: ChainPosition) -> MasterRotated:
    return MasterRotated(GroupId(values["gid"]), parse_abi_address(values["newMaster"]), values["epoch"], at)


def _exchange_recorded(values: _Values, at: ChainPosition) -> ExchangeRecorded:
    return ExchangeRecorded(
        gid=GroupId(values["gid"]),
        sender=ObjectId(values["from"]),
        receiver=ObjectId(values["to"]),
        payload_hash=values["payloadHash"],
        seq=values["seq"],
        epoch=values["epoch"],
        at=at,
    )


def _anchored(values: _Values, at: ChainPosition) -> Anchored:
    return Anchored(
        gid=GroupId(values["gid"]),
        root=values["root"],
        from_record=values["fromRecord"],
        to_record=values["toRecord"],
        epoch=values["epoch"],
        at=at,
    )


_BUILDERS: dict[str, _Builder] = {
    "GroupCreated": _group_created,
    "Associated": _associated,
    "Revoked": _revoked,
    "Rotated": _rotated,
    "MasterRotated": _master_rotated,
    "ExchangeRecorded": _exchange_recorded,
    "Anchored": _anchored,
}
