"""The one transaction sender: it owns the relayer account's tx_nonce, and nothing else sends from that account.

Submissions get consecutive tx_nonces and travel side by side. What may go wrong on the way, and what is done then:

- another process used the tx_nonce: ask the node where the account stands and sign again;
- the node lost the transaction (restart, full pool): send the same bytes again;
- a tx_nonce was given away and its transaction refused for good: the ones behind it would wait for ever, so the gap is
  filled with a transaction that does nothing;
- the caller gives up: what was sent is seen through all the same, so that no gap comes of it.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from eth_account.signers.local import LocalAccount

from chain_gateway.config import SenderTimes
from chain_gateway.errors import AlreadyKnown, CannotPay, NonceAhead, NonceTaken, NonceUsed, TransactionRefused
from chain_gateway.node import ChainNode, Fees
from chain_gateway.node_answers import RawReceipt
from group_protocol.errors import RegistryUnavailable
from group_protocol.identifiers import Address

_SUBMISSIONS_MAX = 50
"""Tries to find a free tx_nonce, so that a node that contradicts itself does not keep us for ever."""

_NOTHING_GAS = 21_000
"""Gas of a transaction that does nothing (yellow paper, G_transaction)."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Call:
    """What is to be sent; ``to`` is None for a deployment."""

    to: Address | None
    calldata: bytes
    gas_limit: int


@dataclass(frozen=True, slots=True)
class _Signed:
    tx_nonce: int
    raw: bytes
    transaction_hash: bytes


class TransactionSender:
    """Sends calls from one account and waits until they stand in a block."""

    def __init__(self, node: ChainNode, account: LocalAccount, chain_id: int, times: SenderTimes) -> None:
        self._node = node
        self._account = account
        self._chain_id = chain_id
        self._times = times
        self.address = Address(bytes.fromhex(account.address[2:]))
        self._turn = asyncio.Lock()
        self._next_tx_nonce: int | None = None
        self._in_flight: set[int] = set()
        self._deliveries: set[asyncio.Task[RawReceipt]] = set()

    async def send(self, to: Address | None, calldata: bytes, gas_limit: int) -> RawReceipt:
        """Send a call and wait for its receipt, which may be that of a revert.

        Raises:
            RegistryUnavailable: The node cannot be reached, does not take it, or puts it in no block in time.
        """
        delivery = asyncio.create_task(self._deliver(_Call(to, calldata, gas_limit)))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._forget)
        return await asyncio.shield(delivery)

    async def close(self) -> None:
        """Stop waiting for receipts. What the node has, it has."""
        deliveries = list(self._deliveries)
        for delivery in deliveries:
            delivery.cancel()
        await asyncio.gather(*deliveries, return_exceptions=True)

    def _forget(self, delivery: asyncio.Task[RawReceipt]) -> None:
        self._deliveries.discard(delivery)
        if not delivery.cancelled() and (failure := delivery.exception()) is not None:
            # Its caller may have given up, and then nobody else would say so.
            _logger.info("a transaction was not delivered: %s", failure)

    async def _deliver(self, call: _Call) -> RawReceipt:
        try:
            async with asyncio.timeout(self._times.receipt_timeout_s):
                while True:
                    signed = await self._submit(call)
                    try:
                        receipt = await self._wait_for_receipt(signed)
                    finally:
                        self._in_flight.discard(signed.tx_nonce)
                    if receipt is not None:
                        return receipt
                    _logger.warning("tx_nonce %d went to another transaction; sending again", signed.tx_nonce)
        except TimeoutError as exc:
            self._next_tx_nonce = None
            raise RegistryUnavailable(
                f"the transaction stands in no block after {self._times.receipt_timeout_s:g} s; it may still land",
                remedy="Check that the chain makes blocks, and look whether it landed before you try again.",
            ) from exc

    async def _submit(self, call: _Call) -> _Signed:
        """Get the call into the node's pool under some tx_nonce; until its end that tx_nonce counts as in flight."""
        for _ in range(_SUBMISSIONS_MAX):
            signed = await self._sign_next(call, await self._node.fetch_fees())
            try:
                await self._node.send(signed.raw)
            except AlreadyKnown:
                return signed
            except (NonceUsed, NonceAhead):
                self._give_back(signed.tx_nonce)
            except NonceTaken:  # a transaction from before our time waits there: leave that tx_nonce to it
                self._in_flight.discard(signed.tx_nonce)
            except TransactionRefused as exc:
                self._give_back(signed.tx_nonce)
                raise self._unsendable(exc) from exc
            except RegistryUnavailable as exc:
                _logger.warning("it is unknown whether the node took tx_nonce %d: %s", signed.tx_nonce, exc)
                return signed
            except BaseException:
                self._give_back(signed.tx_nonce)
                raise
            else:
                return signed
        raise RegistryUnavailable(f"the node refused {_SUBMISSIONS_MAX} tx_nonces in a row")

    async def _sign_next(self, call: _Call, fees: Fees) -> _Signed:
        async with self._turn:
            if self._next_tx_nonce is None:
                self._next_tx_nonce = await self._node.fetch_tx_nonce(self.address, pending=True)
            while self._next_tx_nonce in self._in_flight:
                self._next_tx_nonce += 1
            signed = self._sign(call, self._next_tx_nonce, fees)
            self._in_flight.add(signed.tx_nonce)
            self._next_tx_nonce += 1
            return signed

    def _give_back(self, tx_nonce: int) -> None:
        """A tx_nonce that was not used after all: the next submission asks the node where the account stands."""
        self._in_flight.discard(tx_nonce)
        self._next_tx_nonce = None

    def _sign(self, call: _Call, tx_nonce: int, fees: Fees) -> _Signed:
        fields: dict[str, Any] = {
            "chainId": self._chain_id,
            "nonce": tx_nonce,
            "to": call.to or b"",
            "value": 0,
            "data": call.calldata,
            "gas": call.gas_limit,
        }
        if fees.tip_wei is None:
            fields["gasPrice"] = fees.max_fee_wei
        else:
            fields |= {"type": 2, "maxFeePerGas": fees.max_fee_wei, "maxPriorityFeePerGas": fees.tip_wei}
        signed = self._account.sign_transaction(fields)
        return _Signed(tx_nonce, bytes(signed.raw_transaction), bytes(signed.hash))

    async def _wait_for_receipt(self, signed: _Signed) -> RawReceipt | None:
        """The receipt, however long it takes; None once another transaction stands under its tx_nonce."""
        loop = asyncio.get_running_loop()
        pause_s = self._times.first_poll_s
        look_again_at = loop.time() + self._times.rebroadcast_s
        while True:
            try:
                receipt = await self._node.fetch_receipt(signed.transaction_hash)
                if receipt is not None:
                    return receipt
                if loop.time() >= look_again_at:
                    look_again_at = loop.time() + self._times.rebroadcast_s
                    if await self._node.fetch_tx_nonce(self.address, pending=False) > signed.tx_nonce:
                        return await self._node.fetch_receipt(signed.transaction_hash)
                    await self._push(signed)
            except RegistryUnavailable as exc:
                _logger.warning("still waiting for tx_nonce %d: %s", signed.tx_nonce, exc)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, self._times.longest_poll_s)

    async def _push(self, signed: _Signed) -> None:
        """Send a transaction again that the node has lost, and whatever is missing before it."""
        missing = await self._node.fetch_tx_nonce(self.address, pending=True)
        try:
            if missing < signed.tx_nonce and missing not in self._in_flight:
                _logger.warning("filling tx_nonce %d, which was never used", missing)
                nothing = _Call(self.address, b"", _NOTHING_GAS)
                await self._node.send(self._sign(nothing, missing, await self._node.fetch_fees()).raw)
            if not await self._node.is_known(signed.transaction_hash):
                await self._node.send(signed.raw)
        except TransactionRefused as exc:
            _logger.info("sending tx_nonce %d again was refused: %s", signed.tx_nonce, exc)

    def _unsendable(self, refusal: TransactionRefused) -> RegistryUnavailable:
        remedy = "Read the node's log."
        if isinstance(refusal, CannotPay):
            remedy = f"Send ether to the relayer's account 0x{self.address.hex()}."
        return RegistryUnavailable(f"the node does not take the transaction: {refusal}", remedy=remedy)
