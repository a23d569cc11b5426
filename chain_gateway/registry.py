"""The GroupRegistry port over a contract on an Ethereum chain, embedded or behind a URL (paper, sections 4.3 and 5)."""

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from chain_gateway import wishes
from chain_gateway.acts import Act, ActEncoder
from chain_gateway.anchor_events import fetch_anchor_events
from chain_gateway.association_batches import AssociationBatcher
from chain_gateway.config import BatchTerms
from chain_gateway.contract_abi import ContractAbi
from chain_gateway.contract_check import check_contract
from chain_gateway.errors import CallReverted
from chain_gateway.events import EventDecoder, parse_abi_address
from chain_gateway.node import ChainNode
from chain_gateway.node_answers import RawReceipt
from chain_gateway.originals import REPETITION_REASONS, Originals
from chain_gateway.refusals import refusal_of_revert
from chain_gateway.relayer_pool import RelayerPool
from chain_gateway.replica import EventReplica
from chain_gateway.wish import Wish
from contracts import ContractArtifact
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ContractRefusal, RegistryInconsistent, RegistryUnavailable, VirtualGroupError
from group_protocol.identifiers import Address, GroupId, ObjectId
from group_protocol.membership import (
    Anchored,
    Associated,
    AssociationRefused,
    ChainEvent,
    GroupView,
    Membership,
    ObjectState,
    ObjectView,
)
from group_protocol.ports import (
    AnchorRequest,
    AssociationRequest,
    CreateGroupRequest,
    ExchangeProof,
    GroupRegistry,
    MasterRotationRequest,
    NodeReport,
    Receipt,
    RegistryIdentity,
    RevocationRequest,
    RotationRequest,
)
from group_protocol.typed_data import TypedDataDomain

_Event = TypeVar("_Event", bound=ChainEvent)

_logger = logging.getLogger(__name__)


class Web3Registry(GroupRegistry):
    """One contract, its relayers, one replica. :meth:`close` it.

    Each act is tried as a call first, so that a refusal costs nothing and gives its reason. It returns when its receipt
    stands in a block and that block's events are in :meth:`membership`.

    Attributes:
        node: Blocks and logs of its chain, for who serves them to others.
        first_block: No event of the contract is older.
    """

    def __init__(
        self,
        *,
        node: ChainNode,
        artifact: ContractArtifact,
        abi: ContractAbi,
        identity: RegistryIdentity,
        sender: RelayerPool,
        replica: EventReplica,
        batches: BatchTerms,
        first_block: int = 0,
    ) -> None:
        self.node = node
        self.first_block = first_block
        self._node = node
        self._artifact = artifact
        self._abi = abi
        self._acts = ActEncoder(abi)
        self._identity = identity
        self._domain = TypedDataDomain(identity)
        self._decoder = EventDecoder(abi, identity.contract)
        self._sender = sender
        self._replica = replica
        self._originals = Originals(node, abi, self._decoder, replica)
        self._batcher = AssociationBatcher(self, self._domain, batches)

    @property
    def relayers(self) -> tuple[Address, ...]:
        """The accounts that pay for the transactions; they have no other power."""
        return self._sender.addresses

    @property
    def waiting(self) -> int:
        """Acts that are not final yet, and associations that wait for their batch."""
        return self._sender.open_calls + self._batcher.waiting

    async def close(self) -> None:
        """Let go of who waits for an association."""
        await self._batcher.close()

    async def fetch_identity(self) -> RegistryIdentity:
        """See the port. Raises RegistryInconsistent if the chain or the contract's code is not the expected one."""
        await check_contract(self._node, self._artifact, self._identity)
        return self._identity

    async def create_group(self, request: CreateGroupRequest) -> Receipt:
        """See the port."""
        return await self._do(self._acts.create_group(request), wishes.create_group(request))

    async def associate(self, request: AssociationRequest) -> Receipt:
        """See the port. What arrives together goes to the chain together (:mod:`chain_gateway.association_batches`)."""
        return await self._batcher.associate(request)

    async def associate_alone(self, request: AssociationRequest) -> Receipt:
        """Associate one slave in a transaction of its own, whatever else arrives."""
        return await self._do(self._acts.associate(request), wishes.associate(self._domain, request))

    async def associate_batch(self, requests: Sequence[AssociationRequest]) -> list[Receipt]:
        """See the port."""
        receipt = await self._transact(self._acts.associate_batch(requests))
        events = [
            event
            for event in self._decoder.decode_ours(receipt.logs)
            if isinstance(event, Associated | AssociationRefused)
        ]
        if len(events) != len(requests) or any(
            event.gid != request.gid or (isinstance(event, AssociationRefused) and event.index != index)
            for index, (event, request) in enumerate(zip(events, requests, strict=False))
        ):
            raise RegistryInconsistent("the batch's receipt does not hold one event for each of its items")
        await self._replica.wait_until_counted(receipt.block_number)
        receipts = [Receipt(event, receipt.gas_used) for event in events]
        for index, event in enumerate(events):
            if isinstance(event, AssociationRefused) and event.reason in REPETITION_REASONS:
                original = await self._find_original(requests, receipts, index)
                receipts[index] = original or receipts[index]
        return receipts

    async def _find_original(
        self, requests: Sequence[AssociationRequest], receipts: Sequence[Receipt], index: int
    ) -> Receipt | None:
        """The receipt of the first time, if this very request of a batch made its device a member before."""
        original = await self._originals.find(wishes.associate(self._domain, requests[index]))
        for other, receipt in enumerate(receipts):
            if original is not None and receipt.position == original.position and requests[other] != requests[index]:
                return None  # another request of this batch did it, whose transaction carries this one's signature too
        return original

    async def verify_exchange(self, proof: ExchangeProof) -> None:
        """See the port."""
        output = await self._call(self._acts.verify_exchange(proof))
        if self._abi.decode_result("verifyExchange", output) != (True,):
            raise RegistryInconsistent("verifyExchange answered neither true nor a refusal")

    async def record_exchange(self, proof: ExchangeProof) -> Receipt:
        """See the port."""
        return await self._do(self._acts.record_exchange(proof), wishes.record_exchange(proof))

    async def anchor(self, request: AnchorRequest) -> Receipt:
        """See the port."""
        wish = wishes.anchor(request)
        # The contract takes an anchor as often as it is sent; readers keep the first, so a second is gas for nothing.
        return await self._originals.find(wish) or await self._do(self._acts.anchor(request), wish)

    async def revoke(self, request: RevocationRequest) -> Receipt:
        """See the port."""
        return await self._do(self._acts.revoke(request), wishes.revoke(request), at_once=True)

    async def rotate(self, request: RotationRequest) -> Receipt:
        """See the port."""
        return await self._do(self._acts.rotate(request), wishes.rotate(request))

    async def rotate_master(self, request: MasterRotationRequest) -> Receipt:
        """See the port."""
        return await self._do(self._acts.rotate_master(request), wishes.rotate_master(request))

    async def fetch_group(self, gid: GroupId) -> GroupView | None:
        """See the port."""
        block = (await self._node.fetch_head()).number
        master, index, epoch = await self._view("groupOf", gid, block=block)
        if index == 0:
            return None
        oid = await self._view("objectIdOf", parse_abi_address(master), block=block)
        return GroupView(gid, parse_abi_address(master), ObjectId(oid), epoch)

    async def fetch_object(self, gid: GroupId, oid: ObjectId) -> ObjectView | None:
        """See the port."""
        block = (await self._node.fetch_head()).number
        account, group_index, state, _ = await self._view("objectOf", oid, block=block)
        _, index, _ = await self._view("groupOf", gid, block=block)
        if index == 0 or group_index != index:
            return None
        try:
            return ObjectView(oid, gid, parse_abi_address(account), ObjectState(state))
        except ValueError as exc:
            raise RegistryInconsistent(f"the contract has no object state {state}") from exc

    async def fetch_block_time(self) -> int:
        """See the port."""
        return (await self._node.fetch_head()).timestamp_unix_s

    async def check(self) -> None:
        """See the port."""
        await self._replica.wait_for_block((await self._node.fetch_head()).number)

    async def fetch_anchors(self, gid: GroupId) -> list[Anchored]:
        """See the port."""
        return await fetch_anchor_events(self._replica, self._abi, self._decoder, gid)

    def read_anew(self) -> None:
        """See the port."""
        self._replica.read_anew()

    def node_reports(self) -> tuple[NodeReport, ...]:
        """See the port."""
        return self._node.reports()

    def membership(self) -> Membership:
        """See the port. Raises RegistryInconsistent once the node's events have contradicted each other."""
        return self._replica.membership

    def events(self) -> AsyncIterator[ChainEvent]:
        """See the port."""
        return self._replica.subscribe()

    async def _do(self, act: Act, wish: Wish[_Event], *, at_once: bool = False) -> Receipt:
        try:
            if not self._sender.is_sending(self._identity.contract, act.calldata):
                await self._call(act.calldata)
            receipt = await self._transact(act, at_once=at_once)
        except ContractRefusal as refusal:
            original = await self._originals.find(wish) if refusal.reason in REPETITION_REASONS else None
            if original is None:
                raise
            return original
        events = [event for event in self._decoder.decode_ours(receipt.logs) if isinstance(event, wish.kind)]
        if len(events) != 1 or not wish.is_ours(events[0]):
            raise RegistryInconsistent(f"the receipt of {act.function} does not hold its {wish.kind.__name__}")
        if at_once:
            await self._replica.wait_for_block(receipt.block_number)
        else:
            await self._replica.wait_until_counted(receipt.block_number)
        return Receipt(events[0], receipt.gas_used)

    async def _transact(self, act: Act, *, at_once: bool = False) -> RawReceipt:
        receipt = await self._sender.send(self._identity.contract, act.calldata, act.gas_limit, at_once=at_once)
        _logger.info("%s in block %d, %d gas", act.function, receipt.block_number, receipt.gas_used)
        if not receipt.succeeded:
            raise await self._explain(act, receipt)
        return receipt

    async def _explain(self, act: Act, receipt: RawReceipt) -> VirtualGroupError:
        """Why a transaction was reverted: the same call, on the state that its block left."""
        try:
            await self._node.call(self._identity.contract, act.calldata, block=receipt.block_number)
        except CallReverted as exc:
            return refusal_of_revert(self._abi, exc.output)
        return RegistryUnavailable(
            f"{act.function} was reverted in block {receipt.block_number} for a reason that is gone",
            remedy="Try again.",
            code=ErrorCode.TRANSACTION_REFUSED,
        )

    async def _call(self, calldata: bytes, *, block: int | None = None) -> bytes:
        try:
            return await self._node.call(self._identity.contract, calldata, block=block)
        except CallReverted as exc:
            raise refusal_of_revert(self._abi, exc.output) from exc

    async def _view(self, function: str, argument: bytes, *, block: int) -> Any:  # noqa: ANN401 - as the ABI has it
        calldata = self._abi.encode_call(function, argument)
        (value,) = self._abi.decode_result(function, await self._call(calldata, block=block))
        return value
