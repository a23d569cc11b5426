"""The account that pays: it signs, and it counts its tx_nonces."""

import asyncio
from typing import Any

from eth_account.signers.local import LocalAccount

from chain_gateway.fees import Fees
from chain_gateway.journal import Attempt, Call
from chain_gateway.node import ChainNode
from group_protocol.identifiers import Address


class RelayerAccount:
    """One account on one chain. Nobody else signs for it.

    Attributes:
        address: 20 bytes.
        in_flight: tx_nonces that were given away and whose transactions are not settled.
    """

    def __init__(self, node: ChainNode, account: LocalAccount, chain_id: int) -> None:
        self._node = node
        self._account = account
        self._chain_id = chain_id
        self._turn = asyncio.Lock()
        self._next_tx_nonce: int | None = None
        self.address = Address(bytes.fromhex(account.address[2:]))
        self.in_flight: set[int] = set()

    async def sign_next(self, call: Call, fees: Fees) -> Attempt:
        """Sign under the next free tx_nonce, which is in flight from now on. Raises RegistryUnavailable."""
        async with self._turn:
            if self._next_tx_nonce is None:
                self._next_tx_nonce = await self._node.fetch_tx_nonce(self.address, pending=True)
            while self._next_tx_nonce in self.in_flight:
                self._next_tx_nonce += 1
            attempt = self.sign(call, self._next_tx_nonce, fees)
            self.in_flight.add(attempt.tx_nonce)
            self._next_tx_nonce += 1
            return attempt

    def give_back(self, tx_nonce: int) -> None:
        """A tx_nonce that was not used after all: the next submission asks the node where the account stands."""
        self.in_flight.discard(tx_nonce)
        self._next_tx_nonce = None

    def sign(self, call: Call, tx_nonce: int, fees: Fees) -> Attempt:
        """A transaction that carries the call."""
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
        return Attempt(tx_nonce, fees, bytes(signed.raw_transaction), bytes(signed.hash))
