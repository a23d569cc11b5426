"""Transactions that stand in no block yet: lost, behind a gap in the tx_nonces, or too cheap, and what is done then."""

import asyncio
import logging

from chain_gateway.config import SenderTimes
from chain_gateway.deliveries import Delivery
from chain_gateway.errors import TransactionRefused, Underpriced
from chain_gateway.journal import Call
from chain_gateway.node import ChainNode
from chain_gateway.node_answers import Block, RawReceipt
from chain_gateway.relayer import RelayerAccount
from chain_gateway.submitter import Submitter

_NOTHING_GAS = 21_000
"""Gas of a transaction that does nothing (yellow paper, G_transaction)."""

_logger = logging.getLogger(__name__)


class PendingTransactions:
    """Looks after the transactions of one account until they stand in a block."""

    def __init__(self, node: ChainNode, relayer: RelayerAccount, times: SenderTimes, submitter: Submitter) -> None:
        self._node = node
        self._relayer = relayer
        self._times = times
        self._submitter = submitter

    async def find_receipt(self, delivery: Delivery) -> RawReceipt | None:
        """Of whichever of its attempts came into a block."""
        for attempt in reversed(delivery.attempts):
            receipt = await self._node.fetch_receipt(attempt.transaction_hash)
            if receipt is not None:
                return receipt
        return None

    async def look_after(self, delivery: Delivery) -> None:
        """A transaction stands in no block yet: see whether it is lost, behind a gap, or too cheap."""
        if not delivery.attempts:
            await self._submitter.submit(delivery)
            return
        if await self._node.fetch_tx_nonce(self._relayer.address, pending=False) > delivery.tx_nonce:
            if await self.find_receipt(delivery) is None:
                _logger.warning("tx_nonce %d went to another transaction; sending again", delivery.tx_nonce)
                self._relayer.in_flight.discard(delivery.tx_nonce)
                delivery.attempts.clear()
                await self._submitter.submit(delivery)
            return
        head = await self._node.fetch_head()
        await self._fill_gap_before(delivery.tx_nonce, head)
        newest = delivery.attempts[-1]
        try:
            if not await self._node.is_known(newest.transaction_hash):
                await self._node.send(newest.raw)
            elif await self._is_too_cheap(delivery, head):
                await self._reprice(delivery, head)
        except Underpriced:
            await self._reprice(delivery, head)
        except TransactionRefused as exc:
            _logger.info("sending tx_nonce %d again was refused: %s", newest.tx_nonce, exc)

    async def _fill_gap_before(self, tx_nonce: int, head: Block) -> None:
        missing = await self._node.fetch_tx_nonce(self._relayer.address, pending=True)
        if missing >= tx_nonce or missing in self._relayer.in_flight:
            return
        _logger.warning("filling tx_nonce %d, which was never used", missing)
        fees = (await self._node.fetch_fees(head)).capped(self._times.fee_cap_wei)
        nothing = self._relayer.sign(Call(self._relayer.address, b"", _NOTHING_GAS), missing, fees)
        try:
            await self._node.send(nothing.raw)
        except TransactionRefused as exc:
            _logger.info("filling tx_nonce %d was refused: %s", missing, exc)

    async def _is_too_cheap(self, delivery: Delivery, head: Block) -> bool:
        """Whether its price keeps it out: blocks go by without it when its turn has come, or the base fee is higher.

        A chain that makes no blocks asks for no higher price.
        """
        fees = delivery.attempts[-1].fees
        if head.base_fee_wei is not None and fees.max_fee_wei < head.base_fee_wei:
            return True
        if delivery.attempted_at_block is None:  # an earlier run made it: count from now on
            delivery.attempted_at_block = head.number
            delivery.attempted_at_s = asyncio.get_running_loop().time()
        waited_s = asyncio.get_running_loop().time() - delivery.attempted_at_s
        blocks = head.number - delivery.attempted_at_block
        if waited_s < self._times.reprice_after_s or blocks < self._times.reprice_after_blocks:
            return False
        return await self._node.fetch_tx_nonce(self._relayer.address, pending=False) == delivery.tx_nonce

    async def _reprice(self, delivery: Delivery, head: Block) -> None:
        newest = delivery.attempts[-1]
        market = await self._node.fetch_fees(head)
        fees = newest.fees.raised(market, self._times.fee_cap_wei)
        if fees is None:
            _logger.warning(
                "tx_nonce %d waits: it offers %d wei per gas, and the cap of %d leaves no room for more",
                newest.tx_nonce,
                newest.fees.max_fee_wei,
                self._times.fee_cap_wei,
            )
            return
        _logger.warning(
            "tx_nonce %d: raising the price from %d to %d wei per gas",
            newest.tx_nonce,
            newest.fees.max_fee_wei,
            fees.max_fee_wei,
        )
        await self._submitter.note(delivery, self._relayer.sign(delivery.call, newest.tx_nonce, fees))
        delivery.attempted_at_block = head.number
        try:
            await self._node.send(delivery.attempts[-1].raw)
        except TransactionRefused as exc:
            _logger.info("the higher price for tx_nonce %d was refused: %s", newest.tx_nonce, exc)
