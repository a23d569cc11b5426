"""Several relayer accounts that send in parallel: a transaction that hangs in one holds up none of another.

An account's transactions stand in the chain in the order of their tx_nonces, and a node's pool takes only so many of
one account (geth: 64 that can run). So each account has its own sender, and the one with the least to do is given the
next call.
"""

import logging
from collections import Counter
from collections.abc import Sequence

from chain_gateway.errors import CannotPay
from chain_gateway.node_answers import RawReceipt
from chain_gateway.sender import TransactionSender
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, RegistryUnavailable
from group_protocol.identifiers import Address

_logger = logging.getLogger(__name__)


class RelayerPool:
    """Looks like one sender. Every account has a sender of its own, and nothing else sends from it.

    Args:
        senders: One or more, each of another account; the first deploys and is the one that is shown.

    Raises:
        ConfigurationError: An account stands there twice: its tx_nonces would be counted by two.
    """

    def __init__(self, senders: Sequence[TransactionSender]) -> None:
        addresses = [sender.address for sender in senders]
        if len(set(addresses)) != len(addresses):
            raise ConfigurationError(
                "a relayer's account is named twice",
                remedy="Give each relayer key file an account of its own.",
                code=ErrorCode.SETTING_WRONG,
            )
        self._senders = tuple(senders)
        self._busy: Counter[Address] = Counter()

    @property
    def address(self) -> Address:
        """The first account."""
        return self._senders[0].address

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All accounts."""
        return tuple(sender.address for sender in self._senders)

    async def start(self) -> None:
        """Go on with what an earlier run left unfinished. Raises RegistryUnavailable if the journal cannot be read."""
        for sender in self._senders:
            await sender.start()

    def is_sending(self, to: Address | None, calldata: bytes) -> bool:
        """Whether this very call is under way, from whichever account."""
        return any(sender.is_sending(to, calldata) for sender in self._senders)

    @property
    def open_calls(self) -> int:
        """Calls that are not final yet."""
        return sum(sender.open_calls for sender in self._senders)

    async def send(self, to: Address | None, calldata: bytes, gas_limit: int, *, at_once: bool = False) -> RawReceipt:
        """Send a call from the account with the least to do; see :meth:`TransactionSender.send`.

        A call that is under way is joined. An account that cannot pay is passed over for the next.

        Raises:
            RegistryUnavailable: The node cannot be reached, does not take it, or puts it in no block in time.
        """
        ranked = sorted(
            self._senders, key=lambda sender: (not sender.is_sending(to, calldata), self._busy[sender.address])
        )
        for sender in ranked[:-1]:
            try:
                return await self._send(sender, to, calldata, gas_limit, at_once=at_once)
            except RegistryUnavailable as exc:
                if not isinstance(exc.__cause__, CannotPay):
                    raise
                _logger.warning("relayer 0x%s cannot pay; trying the next", sender.address.hex())
        return await self._send(ranked[-1], to, calldata, gas_limit, at_once=at_once)

    async def _send(
        self, sender: TransactionSender, to: Address | None, calldata: bytes, gas_limit: int, *, at_once: bool
    ) -> RawReceipt:
        self._busy[sender.address] += 1
        try:
            return await sender.send(to, calldata, gas_limit, at_once=at_once)
        finally:
            self._busy[sender.address] -= 1

    async def close(self) -> None:
        """Stop waiting for receipts. What the node has, it has."""
        for sender in self._senders:
            await sender.close()
