"""The GroupRegistry port over a gateway's service on another machine, which is never trusted.

It can withhold. It cannot forge: every act is signed for the contract by whom it concerns. And what it says of an act
is held against what it says of the chain: membership is this machine's own fold of the contract's logs, with the
contract's rules, block hashes and all that :class:`chain_gateway.replica.EventReplica` holds a node to; a receipt
counts when its event stands in those logs. With a second node (``verify_rpc``) the logs and receipts are compared with
that node's too.
"""

from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from chain_gateway import wishes
from chain_gateway.anchor_events import fetch_anchor_events
from chain_gateway.contract_abi import ContractAbi
from chain_gateway.events import EventDecoder
from chain_gateway.remote.client import GatewayClient
from chain_gateway.remote.reader import RemoteChain, understood
from chain_gateway.remote.second_node import SecondNode
from chain_gateway.remote.wire import decode, decode_receipt, encode
from chain_gateway.replica import EventReplica
from chain_gateway.wish import Wish
from group_protocol.encoding import b64encode
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import LocalProtocolError, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import GroupId, ObjectId
from group_protocol.limits import ASSOCIATION_BATCH_MAX
from group_protocol.membership import (
    Anchored,
    AssociationRefused,
    ChainEvent,
    GroupView,
    Membership,
    ObjectView,
)
from group_protocol.ports import (
    AnchorRequest,
    AssociationRequest,
    CreateGroupRequest,
    ExchangeProof,
    GroupRegistry,
    MasterRotationRequest,
    Receipt,
    RegistryIdentity,
    RevocationRequest,
    RotationRequest,
)
from group_protocol.typed_data import TypedDataDomain

_Event = TypeVar("_Event", bound=ChainEvent)
_REMEDY = "The gateway lies or is broken: look at it, and use another one until you know."


class RemoteRegistry(GroupRegistry):
    """See the module.

    Args:
        client: Reaches the service.
        identity: The contract that this machine knows it by.
        abi: The contract's.
        replica: This machine's own, over :class:`chain_gateway.remote.reader.RemoteChain`.
        second: A node to compare receipts with, or None.
    """

    def __init__(
        self,
        client: GatewayClient,
        identity: RegistryIdentity,
        abi: ContractAbi,
        replica: EventReplica,
        second: SecondNode | None,
    ) -> None:
        self._client = client
        self._identity = identity
        self._abi = abi
        self._domain = TypedDataDomain(identity)
        self._decoder = EventDecoder(abi, identity.contract)
        self._replica = replica
        self._chain = RemoteChain(client, identity)
        self._second = second

    async def fetch_identity(self) -> RegistryIdentity:
        """See the port. Raises RegistryInconsistent if the gateway stands for another contract than before."""
        told = await self._client.get("/v1/identity")
        identity = understood(lambda told: decode(RegistryIdentity, told["identity"]), told)
        if identity != self._identity:
            raise RegistryInconsistent(
                f"the gateway stands for contract 0x{identity.contract.hex()} on chain {identity.chain_id} now",
                remedy=_REMEDY,
                code=ErrorCode.WRONG_CONTRACT,
            )
        return identity

    async def create_group(self, request: CreateGroupRequest) -> Receipt:
        """See the port."""
        return await self._do("create_group", request, wishes.create_group(request))

    async def associate(self, request: AssociationRequest) -> Receipt:
        """See the port."""
        return await self._do("associate", request, wishes.associate(self._domain, request))

    async def associate_batch(self, requests: Sequence[AssociationRequest]) -> list[Receipt]:
        """See the port."""
        if not 0 < len(requests) <= ASSOCIATION_BATCH_MAX:
            raise LocalProtocolError(f"a batch has 1 to {ASSOCIATION_BATCH_MAX} associations, not {len(requests)}")
        told = await self._client.act("associate_batch", {"requests": [encode(request) for request in requests]})
        receipts = understood(lambda told: [decode_receipt(receipt) for receipt in told["receipts"]], told)
        if len(receipts) != len(requests):
            raise RegistryInconsistent("the batch's answer has not one receipt for each of its items", remedy=_REMEDY)
        pairs = enumerate(zip(requests, receipts, strict=True))
        return [await self._check_item(index, request, receipt) for index, (request, receipt) in pairs]

    async def _check_item(self, index: int, request: AssociationRequest, receipt: Receipt) -> Receipt:
        if not isinstance(receipt.event, AssociationRefused):
            return await self._check(receipt, wishes.associate(self._domain, request), at_once=False)
        at = receipt.event.at.transaction_hash
        refusal = Wish(
            AssociationRefused,
            request.gid,
            lambda event: (event.gid, event.index, event.at.transaction_hash) == (request.gid, index, at),
            request.request,
            lambda _: True,
        )
        return await self._check(receipt, refusal, at_once=False)

    async def verify_exchange(self, proof: ExchangeProof) -> None:
        """See the port. The one answer that the gateway's word is taken for: nothing on the chain tells of a view."""
        await self._client.act("verify_exchange", encode(proof))

    async def record_exchange(self, proof: ExchangeProof) -> Receipt:
        """See the port."""
        return await self._do("record_exchange", proof, wishes.record_exchange(proof))

    async def anchor(self, request: AnchorRequest) -> Receipt:
        """See the port."""
        return await self._do("anchor", request, wishes.anchor(request))

    async def revoke(self, request: RevocationRequest) -> Receipt:
        """See the port."""
        return await self._do("revoke", request, wishes.revoke(request), at_once=True)

    async def rotate(self, request: RotationRequest) -> Receipt:
        """See the port."""
        return await self._do("rotate", request, wishes.rotate(request))

    async def rotate_master(self, request: MasterRotationRequest) -> Receipt:
        """See the port."""
        return await self._do("rotate_master", request, wishes.rotate_master(request))

    async def fetch_group(self, gid: GroupId) -> GroupView | None:
        """See the port."""
        told = await self._client.get(f"/v1/groups/{b64encode(gid)}")
        view = understood(lambda told: None if told["group"] is None else decode(GroupView, told["group"]), told)
        return _require_asked(view, view is None or view.gid == gid)

    async def fetch_object(self, gid: GroupId, oid: ObjectId) -> ObjectView | None:
        """See the port."""
        told = await self._client.get(f"/v1/groups/{b64encode(gid)}/objects/{b64encode(oid)}")
        view = understood(lambda told: None if told["object"] is None else decode(ObjectView, told["object"]), told)
        return _require_asked(view, view is None or (view.gid, view.oid) == (gid, oid))

    async def fetch_block_time(self) -> int:
        """See the port."""
        return (await self._chain.fetch_head()).timestamp_unix_s

    async def fetch_anchors(self, gid: GroupId) -> list[Anchored]:
        """See the port."""
        return await fetch_anchor_events(self._replica, self._abi, self._decoder, gid)

    async def check(self) -> None:
        """See the port."""
        await self._replica.wait_for_block((await self._chain.fetch_head()).number)

    def read_anew(self) -> None:
        """See the port."""
        self._replica.read_anew()

    def membership(self) -> Membership:
        """See the port. Raises RegistryInconsistent once the gateway's events have contradicted each other."""
        return self._replica.membership

    def events(self) -> AsyncIterator[ChainEvent]:
        """See the port."""
        return self._replica.subscribe()

    async def _do(self, name: str, request: object, wish: Wish[_Event], *, at_once: bool = False) -> Receipt:
        told = await self._client.act(name, encode(request))
        receipt = understood(lambda told: decode_receipt(told["receipt"]), told)
        return await self._check(receipt, wish, at_once=at_once)

    async def _check(self, receipt: Receipt, wish: Wish[_Event], *, at_once: bool) -> Receipt:
        """The receipt, if what it tells stands in the chain as this machine knows it."""
        event = receipt.event
        if not isinstance(event, wish.kind) or not wish.is_ours(event):
            raise RegistryInconsistent(f"the receipt does not hold the {wish.kind.__name__} it should", remedy=_REMEDY)
        if at_once:
            await self._replica.wait_for_block(event.at.block_number)
        else:
            await self._replica.wait_until_counted(event.at.block_number)
        logs = await self._replica.find_logs(self._abi.event_topic(wish.kind.__name__), wish.word)
        known = [
            each for log in logs if isinstance(each := self._decoder.decode(log), wish.kind) and wish.is_ours(each)
        ]
        if not known:
            raise RegistryInconsistent(
                f"the gateway gives a receipt for a {wish.kind.__name__} that its own chain does not hold",
                remedy=_REMEDY,
                code=ErrorCode.SECOND_NODE_DISAGREES,
            )
        # Where a fork put the act into another block since, that one is the truth.
        checked = Receipt(event if event in known else known[-1], receipt.gas)
        if self._second is not None:
            await self._compare(checked, self._second)
        return checked

    async def _compare(self, receipt: Receipt, second: SecondNode) -> None:
        raw = await second.fetch_receipt(receipt.position.transaction_hash)
        if raw is None:
            raise RegistryUnavailable("the second node does not have the transaction yet", remedy="Try again.")
        is_same = raw.succeeded and raw.gas_used == receipt.gas and raw.block_hash == receipt.position.block_hash
        if not is_same or receipt.event not in self._decoder.decode_ours(raw.logs):
            raise RegistryInconsistent(
                "the gateway's receipt is not the second node's", remedy=_REMEDY, code=ErrorCode.SECOND_NODE_DISAGREES
            )


_View = TypeVar("_View")


def _require_asked(view: _View, is_asked: bool) -> _View:  # noqa: FBT001 - the one thing that it is asked
    if not is_asked:
        raise RegistryInconsistent("the gateway answered about something else than was asked", remedy=_REMEDY)
    return view
