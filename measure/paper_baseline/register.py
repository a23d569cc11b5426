"""The group's register: the paper's Algorithms 1 and 3 behind a port, so that a chain can stand there.

As printed, Algorithm 1 cannot run: the slave's checks are nested in the master's branch, `checkAddr` and `checkOID` are
given the group's id. It is followed by its evident intent, which the text of section 4.2 b.3 and b.4 states, and which
is the rule of the design it comes from (BBTrust): object id and address unused; a master's group id unused; a slave's
group known and its token signed by that group's master. There is no removal, no renewal and no expiry in the paper.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from measure.paper_baseline.errors import Reason, Refused
from measure.paper_baseline.signatures import (
    association_message,
    derive_address,
    exchange_message,
    is_signature,
    token_message,
)


class Role(IntEnum):
    """Algorithm 1: "Define Master : 1", "Define Slave : 0"."""

    SLAVE = 0
    MASTER = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """Algorithm 1's `Object`. A master has neither token nor request signature: both stay empty."""

    role: Role
    group_id: bytes
    object_id: bytes
    address: bytes
    public_key: bytes
    token: bytes = b""
    request_signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Algorithm 3's message, with the fields of section 4.2 b.4 iv."""

    group_id: bytes
    sender_id: bytes
    receiver_id: bytes
    reading: bytes
    signature: bytes


class AssociationRegister(Protocol):
    """What the master asks of the chain; each method raises `Refused` with the rule that failed."""

    async def associate(self, candidate: Candidate) -> None:
        """Algorithm 1: create a group (master) or join one (slave)."""

    async def check_membership(self, group_id: bytes, object_id: bytes) -> None:
        """Section 5.2, end: "the master device always checks its group membership"."""

    async def check_exchange(self, exchange: Exchange) -> None:
        """Algorithm 3 with section 4.2 b.4 v and vi."""


class InMemoryRegister:
    """The register's rules without a chain, so that their cost can be left out of a measurement."""

    def __init__(self) -> None:
        self._objects: dict[bytes, Candidate] = {}
        self._addresses: set[bytes] = set()
        self._masters: dict[bytes, Candidate] = {}

    async def associate(self, candidate: Candidate) -> None:
        """Algorithm 1.

        Raises:
            Refused: with the check that failed; nothing is stored then.
        """
        if candidate.object_id in self._objects:
            raise Refused(Reason.OBJECT_ID_IN_USE)
        if candidate.address in self._addresses:
            raise Refused(Reason.ADDRESS_IN_USE)
        if candidate.role is Role.MASTER:
            if candidate.group_id in self._masters:
                raise Refused(Reason.GROUP_ID_IN_USE)
            self._masters[candidate.group_id] = candidate
        else:
            self._check_slave(candidate)
        self._objects[candidate.object_id] = candidate
        self._addresses.add(candidate.address)

    def _check_slave(self, slave: Candidate) -> None:
        """Algorithm 1's slave branch; the request's own signature is section 4.2 b.4 ii."""
        if slave.group_id not in self._masters:
            raise Refused(Reason.UNKNOWN_GROUP)
        claims = (slave.group_id, slave.object_id, slave.address)
        master_key = self._masters[slave.group_id].public_key
        if not is_signature(master_key, slave.token, token_message(*claims)):
            raise Refused(Reason.TOKEN_INVALID)
        signed = association_message(*claims, slave.token)
        if slave.address != derive_address(slave.public_key) or not is_signature(
            slave.public_key, slave.request_signature, signed
        ):
            raise Refused(Reason.SIGNATURE_INVALID)

    async def check_membership(self, group_id: bytes, object_id: bytes) -> None:
        """Whether the object is in the group.

        Raises:
            Refused: it is not.
        """
        if object_id not in self._objects:
            raise Refused(Reason.UNKNOWN_OBJECT)
        if self._objects[object_id].group_id != group_id:
            raise Refused(Reason.NOT_A_MEMBER)

    async def check_exchange(self, exchange: Exchange) -> None:
        """Algorithm 3: both ids exist; the message is the sender's (`sender.Id ≠ bc` as printed is ill-typed).

        Raises:
            Refused: with the check that failed. A message that was seen before is no reason: nothing counts them.
        """
        for object_id in (exchange.sender_id, exchange.receiver_id):
            await self.check_membership(exchange.group_id, object_id)
        signed = exchange_message(exchange.reading, exchange.group_id, exchange.sender_id)
        if not is_signature(self._objects[exchange.sender_id].public_key, exchange.signature, signed):
            raise Refused(Reason.SIGNATURE_INVALID)
