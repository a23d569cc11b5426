"""The one transaction sender: it owns the relayer account's tx_nonce, and nothing else sends from that account.

Submissions get consecutive tx_nonces and travel side by side. Each is noted in the journal before it is sent, and is
seen through until its block is final, whoever still waits for it. What may go wrong on the way, and what is done then
(:mod:`chain_gateway.submitter`, :mod:`chain_gateway.pending_transactions`):

- another process used the tx_nonce: ask the node where the account stands and sign again;
- the node lost the transaction (restart, full pool), or a reorganisation dropped its block: send the same bytes again;
- blocks go by without it: send it again under the same tx_nonce for a higher price;
- a tx_nonce was given away and its transaction refused for good: the ones behind it would wait for ever, so the gap is
  filled with a transaction that does nothing;
- the caller gives up, or this process is killed: what was signed is seen through all the same, and who asks for the
  same call again joins it.
"""

import asyncio
import logging

from eth_account.signers.local import LocalAccount

from chain_gateway.config import SenderTimes
from chain_gateway.deliveries import Delivery
from chain_gateway.journal import Call, TransactionJournal
from chain_gateway.node import ChainNode
from chain_gateway.node_answers import RawReceipt
from chain_gateway.pending_transactions import PendingTransactions
from chain_gateway.relayer import RelayerAccount
from chain_gateway.submitter import Submitter, Unsendable
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import RegistryUnavailable, VirtualGroupError
from group_protocol.identifiers import Address

_logger = logging.getLogger(__name__)


class TransactionSender:
    """Sends calls from one account and waits until they stand in a block.

    Args:
        node: Where to send.
        account: The relayer.
        chain_id: EIP-155 chain id.
        times: How long to wait for what.
        journal: Where calls are noted before they are sent; None for tests that need no restart.
        confirmations: Blocks above a transaction's own from which on it is final. 0: it is final in its block.
    """

    def __init__(
        self,
        node: ChainNode,
        account: LocalAccount,
        chain_id: int,
        times: SenderTimes,
        *,
        journal: TransactionJournal | None = None,
        confirmations: int = 0,
    ) -> None:
        self._node = node
        self._relayer = RelayerAccount(node, account, chain_id)
        self._submitter = Submitter(node, self._relayer, times, journal)
        self._pending = PendingTransactions(node, self._relayer, times, self._submitter)
        self._times = times
        self._journal = journal
        self._confirmations = confirmations
        self.address = self._relayer.address
        self._deliveries: dict[bytes, Delivery] = {}

    async def start(self) -> None:
        """Go on with what an earlier run left unfinished. It runs beside what comes now.

        Raises:
            RegistryUnavailable: The journal cannot be read.
        """
        if self._journal is None:
            return
        for call, attempts in await self._journal.fetch_open(self.address):
            _logger.info("going on with tx_nonce %d, which an earlier run left unfinished", attempts[-1].tx_nonce)
            self._relayer.in_flight.add(attempts[-1].tx_nonce)
            self._begin(Delivery(call, attempts))

    async def send(self, to: Address | None, calldata: bytes, gas_limit: int, *, at_once: bool = False) -> RawReceipt:
        """Send a call and wait for its receipt, which may be that of a revert. A call that is under way is joined.

        Args:
            to: The contract; None for a deployment.
            calldata: The call.
            gas_limit: For the transaction.
            at_once: Return as soon as it stands in a block, and not only once it is final there.

        Raises:
            RegistryUnavailable: The node cannot be reached, does not take it, or puts it in no block in time.
        """
        call = Call(to, calldata, gas_limit)
        delivery = self._deliveries.get(call.key) or self._begin(Delivery(call))
        try:
            async with asyncio.timeout(self._times.receipt_timeout_s):
                return await asyncio.shield(delivery.included if at_once else delivery.final)
        except TimeoutError as exc:
            raise RegistryUnavailable(
                f"the transaction is not final after {self._times.receipt_timeout_s:g} s; it may still land",
                remedy="Check that the chain makes blocks. The transaction is kept and seen through;"
                " asking for the same again joins it.",
                code=ErrorCode.TRANSACTION_NOT_FINAL,
            ) from exc

    def is_sending(self, to: Address | None, calldata: bytes) -> bool:
        """Whether this very call is under way."""
        return Call(to, calldata, 0).key in self._deliveries

    @property
    def open_calls(self) -> int:
        """Calls that are not final yet."""
        return len(self._deliveries)

    async def close(self) -> None:
        """Stop waiting for receipts. What the node has, it has; the journal keeps what is not final."""
        deliveries = list(self._deliveries.values())
        tasks = [delivery.task for delivery in deliveries if delivery.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for delivery in deliveries:
            delivery.fail(RegistryUnavailable("the gateway closes; what was sent is seen through at its next start"))

    def _begin(self, delivery: Delivery) -> Delivery:
        self._deliveries[delivery.call.key] = delivery
        delivery.task = asyncio.create_task(self._deliver(delivery))
        return delivery

    async def _deliver(self, delivery: Delivery) -> None:
        is_over = True
        try:
            if not delivery.attempts:
                await self._submitter.submit(delivery)
            receipt = await self._see_through(delivery)
            await self._submitter.settle(delivery.call)
            delivery.finish(receipt)
        except asyncio.CancelledError:
            is_over = False
            raise
        except VirtualGroupError as exc:
            _logger.info("a transaction was not delivered: %s", exc)
            delivery.fail(exc)
        except BaseException as exc:
            delivery.fail(exc)
            raise
        finally:
            if is_over:
                self._deliveries.pop(delivery.call.key, None)
            if delivery.attempts:
                self._relayer.in_flight.discard(delivery.tx_nonce)

    async def _see_through(self, delivery: Delivery) -> RawReceipt:
        """The receipt, once it is final; however long it takes."""
        pause_s = self._times.first_poll_s
        loop = asyncio.get_running_loop()
        look_again_at = loop.time() + self._times.rebroadcast_s
        while True:
            try:
                receipt = await self._pending.find_receipt(delivery)
                if receipt is not None:
                    delivery.include(receipt)
                    if await self._is_final(receipt):
                        return receipt
                elif loop.time() >= look_again_at or not delivery.attempts:
                    look_again_at = loop.time() + self._times.rebroadcast_s
                    await self._pending.look_after(delivery)
            except Unsendable:
                raise
            except RegistryUnavailable as exc:
                _logger.warning("still waiting for a transaction: %s", exc)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, self._times.longest_poll_s)

    async def _is_final(self, receipt: RawReceipt) -> bool:
        if self._confirmations == 0:
            return True
        return (await self._node.fetch_head()).number - receipt.block_number >= self._confirmations
