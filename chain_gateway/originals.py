"""Acts that were done already: who asks for the same again gets the receipt of the first time.

An answer can get lost (a process killed, a connection cut), and the contract refuses a second association, rotation
or revocation. What tells a repetition from somebody else's act is the signature: the transaction that made the event
carries the very signature of the request. So neither the journal nor the account that sent it matters, and a request
that somebody else relayed, or that went into a batch, is found too.
"""

import logging
from typing import TypeVar

from chain_gateway.contract_abi import ContractAbi
from chain_gateway.events import EventDecoder
from chain_gateway.node import ChainNode
from chain_gateway.replica import EventReplica
from chain_gateway.wish import Wish
from group_protocol.errors import Reason
from group_protocol.membership import ChainEvent
from group_protocol.ports import Receipt

REPETITION_REASONS = frozenset(
    {Reason.DEADLINE_PASSED, Reason.OBJECT_ID_IN_USE, Reason.OBJECT_REVOKED, Reason.ADDRESS_IN_USE}
    | {Reason.GROUP_ID_IN_USE, Reason.SEQ_NOT_RISING, Reason.STALE_EPOCH}
)
"""What the contract answers to an act that was done before; which of them depends on what came after it."""

_Event = TypeVar("_Event", bound=ChainEvent)

_logger = logging.getLogger(__name__)


class Originals:
    """Finds what was done already."""

    def __init__(self, node: ChainNode, abi: ContractAbi, decoder: EventDecoder, replica: EventReplica) -> None:
        self._node = node
        self._abi = abi
        self._decoder = decoder
        self._replica = replica

    async def find(self, wish: Wish[_Event]) -> Receipt | None:
        """The receipt of the transaction that carried this very wish; None if there is none, or it is overtaken.

        Raises:
            RegistryUnavailable: The chain cannot be asked.
            RegistryInconsistent: Its events contradict each other.
        """
        await self._replica.wait_for_block((await self._node.fetch_head()).number)
        for log in await self._replica.find_logs(self._abi.event_topic(wish.kind.__name__), wish.word):
            event = self._decoder.decode(log)
            if not isinstance(event, wish.kind) or not wish.is_ours(event):
                continue
            calldata = await self._node.fetch_calldata(log.transaction_hash)
            if calldata is None or bytes(wish.signature) not in calldata:
                continue
            receipt = await self._node.fetch_receipt(log.transaction_hash)
            if receipt is None or not receipt.succeeded:
                continue
            await self._replica.wait_until_counted(event.at.block_number)
            if wish.still_holds(self._replica.membership):
                _logger.info("%s was done already, in block %d", wish.kind.__name__, event.at.block_number)
                return Receipt(event, receipt.gas_used)
        return None
