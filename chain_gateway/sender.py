"""The one transaction sender: it owns the relayer account's tx_nonce, and nothing else sends from that account.

Submissions get consecutive tx_nonces and travel side by side. Each is noted in the journal before it is sent, and is
seen through until its block is final, whoever still waits for it. What may go wrong on the way, and what is done then:

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
from chain_gateway.node_answers import Block, RawReceipt
from chain_gateway.relayer import RelayerAccount
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import RegistryUnavailable, VirtualGroupError
from group_protocol.identifiers import Address

_SUBMISSIONS_MAX = 50
"""Tries to find a free tx_nonce, so that a node that contradicts itself does not keep us for ever."""

_NOTHING_GAS = 21_000
"""Gas of a transaction that does nothing (yellow paper, G_transaction)."""

_logger = logging.getLogger(__name__)


class _Unsendable(RegistryUnavailable):
    """No node takes the call, however often it is signed anew."""

    default_code = ErrorCode.TRANSACTION_REFUSED


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
                await self._submit(delivery)
            receipt = await self._see_through(delivery)
            await self._settle(delivery.call)
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
                receipt = await self._find_receipt(delivery)
                if receipt is not None:
                    delivery.include(receipt)
                    if await self._is_final(receipt):
                        return receipt
                elif loop.time() >= look_again_at or not delivery.attempts:
                    look_again_at = loop.time() + self._times.rebroadcast_s
                    await self._look_after(delivery)
            except _Unsendable:
                raise
            except RegistryUnavailable as exc:
                _logger.warning("still waiting for a transaction: %s", exc)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, self._times.longest_poll_s)

    async def _find_receipt(self, delivery: Delivery) -> RawReceipt | None:
        for attempt in reversed(delivery.attempts):
            receipt = await self._node.fetch_receipt(attempt.transaction_hash)
            if receipt is not None:
                return receipt
        return None

    async def _is_final(self, receipt: RawReceipt) -> bool:
        if self._confirmations == 0:
            return True
        return (await self._node.fetch_head()).number - receipt.block_number >= self._confirmations

    async def _look_after(self, delivery: Delivery) -> None:
        """A transaction stands in no block yet: see whether it is lost, behind a gap, or too cheap."""
        if not delivery.attempts:
            await self._submit(delivery)
            return
        if await self._node.fetch_tx_nonce(self.address, pending=False) > delivery.tx_nonce:
            if await self._find_receipt(delivery) is None:
                _logger.warning("tx_nonce %d went to another transaction; sending again", delivery.tx_nonce)
                self._relayer.in_flight.discard(delivery.tx_nonce)
                delivery.attempts.clear()
                await self._submit(delivery)
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
        missing = await self._node.fetch_tx_nonce(self.address, pending=True)
        if missing >= tx_nonce or missing in self._relayer.in_flight:
            return
        _logger.warning("filling tx_nonce %d, which was never used", missing)
        fees = (await self._node.fetch_fees(head)).capped(self._times.fee_cap_wei)
        nothing = self._relayer.sign(Call(self.address, b"", _NOTHING_GAS), missing, fees)
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
        return await self._node.fetch_tx_nonce(self.address, pending=False) == delivery.tx_nonce

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
        await self._attempt(delivery, self._relayer.sign(delivery.call, newest.tx_nonce, fees))
        delivery.attempted_at_block = head.number
        try:
            await self._node.send(delivery.attempts[-1].raw)
        except TransactionRefused as exc:
            _logger.info("the higher price for tx_nonce %d was refused: %s", newest.tx_nonce, exc)

    async def _submit(self, delivery: Delivery) -> None:
        """Get the call into the node's pool under some tx_nonce; until its end that tx_nonce counts as in flight."""
        for _ in range(_SUBMISSIONS_MAX):
            head = await self._node.fetch_head()
            fees = (await self._node.fetch_fees(head)).capped(self._times.fee_cap_wei)
            attempt = await self._relayer.sign_next(delivery.call, fees)
            delivery.attempts.clear()
            try:
                await self._attempt(delivery, attempt)
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
                await self._settle(delivery.call)
                raise self._unsendable(exc) from exc
            except RegistryUnavailable as exc:
                if not delivery.attempts:
                    self._relayer.give_back(attempt.tx_nonce)
                    raise
                _logger.warning("it is unknown whether the node took tx_nonce %d: %s", attempt.tx_nonce, exc)
                return
            else:
                return
        await self._settle(delivery.call)
        raise _Unsendable(f"the node refused {_SUBMISSIONS_MAX} tx_nonces in a row")

    async def _attempt(self, delivery: Delivery, attempt: Attempt) -> None:
        """Note a signed transaction; what is not in the journal is not sent."""
        attempts = [*delivery.attempts, attempt]
        if self._journal is not None:
            await self._journal.note(self.address, delivery.call, attempts)
        delivery.attempts = attempts
        delivery.attempted_at_s = asyncio.get_running_loop().time()

    async def _settle(self, call: Call) -> None:
        if self._journal is not None:
            await self._journal.settle(self.address, call)

    def _unsendable(self, refusal: TransactionRefused) -> _Unsendable:
        remedy = "Read the node's log."
        if isinstance(refusal, CannotPay):
            remedy = f"Send ether to the relayer's account 0x{self.address.hex()}."
        return _Unsendable(f"the node does not take the transaction: {refusal}", remedy=remedy)
