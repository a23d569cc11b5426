"""Getting a call into a node's pool: which tx_nonce it takes, and what the node's refusal means for it."""

import asyncio
import logging

from chain_gateway.config import SenderTimes
from chain_gateway.deliveries import Delivery
from chain_gateway.errors import (
    AlreadyKnown,
    CannotPay,
    NonceAhead,
    NonceTaken,
    NonceUsed,
    TransactionRefused,
    Underpriced,
)
from chain_gateway.journal import Attempt, Call, TransactionJournal
from chain_gateway.node import ChainNode
from chain_gateway.relayer import RelayerAccount
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import RegistryUnavailable

_SUBMISSIONS_MAX = 50
"""Tries to find a free tx_nonce, so that a node that contradicts itself does not keep us for ever."""

_logger = logging.getLogger(__name__)


class Unsendable(RegistryUnavailable):
    """No node takes the call, however often it is signed anew."""

    default_code = ErrorCode.TRANSACTION_REFUSED


class Submitter:
    """Signs calls of one account and submits them; what is signed stands in the journal first.

    Args:
        node: Where to send.
        relayer: The account.
        times: Of these the cap on the price.
        journal: See :class:`~chain_gateway.sender.TransactionSender`.
    """

    def __init__(
        self, node: ChainNode, relayer: RelayerAccount, times: SenderTimes, journal: TransactionJournal | None
    ) -> None:
        self._node = node
        self._relayer = relayer
        self._times = times
        self._journal = journal

    async def submit(self, delivery: Delivery) -> None:
        """Get the call into the node's pool under some tx_nonce; until its end that tx_nonce counts as in flight.

        Raises:
            Unsendable: No node takes it.
            RegistryUnavailable: The journal could not note it, or the node cannot be asked.
        """
        for _ in range(_SUBMISSIONS_MAX):
            head = await self._node.fetch_head()
            fees = (await self._node.fetch_fees(head)).capped(self._times.fee_cap_wei)
            attempt = await self._relayer.sign_next(delivery.call, fees)
            delivery.attempts.clear()
            try:
                await self.note(delivery, attempt)
                delivery.attempted_at_block = head.number
                await self._node.send(attempt.raw)
            except AlreadyKnown:
                return
            except (NonceUsed, NonceAhead):
                self._relayer.give_back(attempt.tx_nonce)
                delivery.attempts.clear()
            except NonceTaken:  # a transaction from before our time waits there: leave that tx_nonce to it
                self._relayer.in_flight.discard(attempt.tx_nonce)
                delivery.attempts.clear()
            except Underpriced:
                return  # it is looked after, and offers more then
            except TransactionRefused as exc:
                self._relayer.give_back(attempt.tx_nonce)
                delivery.attempts.clear()
                await self.settle(delivery.call)
                raise self._unsendable(exc) from exc
            except RegistryUnavailable as exc:
                if not delivery.attempts:
                    self._relayer.give_back(attempt.tx_nonce)
                    raise
                _logger.warning("it is unknown whether the node took tx_nonce %d: %s", attempt.tx_nonce, exc)
                return
            else:
                return
        await self.settle(delivery.call)
        raise Unsendable(f"the node refused {_SUBMISSIONS_MAX} tx_nonces in a row")

    async def note(self, delivery: Delivery, attempt: Attempt) -> None:
        """Note a signed transaction; what is not in the journal is not sent."""
        attempts = [*delivery.attempts, attempt]
        if self._journal is not None:
            await self._journal.note(self._relayer.address, delivery.call, attempts)
        delivery.attempts = attempts
        delivery.attempted_at_s = asyncio.get_running_loop().time()

    async def settle(self, call: Call) -> None:
        """It is over: nothing of it has to be seen through at the next start."""
        if self._journal is not None:
            await self._journal.settle(self._relayer.address, call)

    def _unsendable(self, refusal: TransactionRefused) -> Unsendable:
        remedy = "Read the node's log."
        if isinstance(refusal, CannotPay):
            remedy = f"Send ether to the relayer's account 0x{self._relayer.address.hex()}."
        return Unsendable(f"the node does not take the transaction: {refusal}", remedy=remedy)
