"""An Ethereum node, as far as the gateway needs one: a dozen typed questions over any web3 provider."""

from typing import Any, TypeVar

from web3 import AsyncWeb3

from chain_gateway.endpoint import Endpoint, Parse
from chain_gateway.errors import LogRangeRefused, NodeError
from chain_gateway.fees import Fees
from chain_gateway.node_answers import (
    Block,
    RawLog,
    RawReceipt,
    UnusableAnswer,
    parse_block,
    parse_bytes,
    parse_calldata,
    parse_logs,
    parse_quantity,
    parse_receipt,
)
from chain_gateway.node_choice import Asker, NodeChoice, OneNode
from chain_gateway.translate import node_border, refusal_of_transaction, revert_of_call
from group_protocol.identifiers import HASH_BYTES, Address
from group_protocol.ports import NodeReport

_T = TypeVar("_T")

_HEADER_ONLY = False
"""eth_getBlockByNumber's second parameter: transactions as hashes, not as objects."""


class ChainNode:
    """Asks a node through web3's provider and not its middleware.

    So no names are looked up, no fees guessed, no off-chain lookups followed, and what comes back is parsed here.
    Every method may raise RegistryUnavailable.
    """

    def __init__(
        self, web3: AsyncWeb3[Any] | Asker, *, request_timeout_s: float = 10.0, requests_at_once: int = 32
    ) -> None:
        """Over one node, or over whoever chooses between several, with times of its own."""
        if isinstance(web3, AsyncWeb3):
            endpoint = Endpoint(
                web3, "the chain's node", request_timeout_s=request_timeout_s, requests_at_once=requests_at_once
            )
            web3 = OneNode(endpoint)
        self._asker: Asker = web3

    def pinned(self) -> "ChainNode":
        """One whose answers all come from the same node, where there are several; they may stand at different heads."""
        return ChainNode(self._asker.pinned())

    def blame(self, why: str) -> bool:
        """The node that was asked contradicts itself. Answers whether there is another to ask."""
        return self._asker.blame(why)

    def reports(self) -> tuple[NodeReport, ...]:
        """How each node fares; empty where there is but one that nobody chose."""
        return self._asker.reports() if isinstance(self._asker, NodeChoice) else ()

    async def fetch_chain_id(self) -> int:
        """EIP-155 chain id."""
        return await self._request(parse_quantity, "eth_chainId")

    async def fetch_head(self) -> Block:
        """The newest block."""
        return await self._request(parse_block, "eth_getBlockByNumber", "latest", _HEADER_ONLY)

    async def fetch_block(self, number: int) -> Block | None:
        """The canonical block of that height; None above the head."""

        def parse(answer: object) -> Block | None:
            if answer is None:
                return None
            block = parse_block(answer)
            if block.number != number:
                raise UnusableAnswer(f"the node gave block {block.number} for block {number}")
            return block

        return await self._request(parse, "eth_getBlockByNumber", hex(number), _HEADER_ONLY)

    async def fetch_code(self, contract: Address) -> bytes:
        """Runtime code at an address; empty where there is no contract."""
        return await self._request(parse_bytes, "eth_getCode", _hex(contract), "latest")

    async def call(self, contract: Address, calldata: bytes, *, block: int | None = None) -> bytes:
        """Execute without a transaction, on the state after ``block`` (None: the newest).

        Raises:
            CallReverted: The contract said no.
        """
        at = "latest" if block is None else hex(block)
        with node_border():
            try:
                call = {"to": _hex(contract), "data": _hex(calldata)}
                return await self._asker.ask("eth_call", [call, at], parse_bytes)
            except NodeError as exc:
                raise (revert_of_call(exc) or exc) from exc

    async def fetch_logs(self, contract: Address, first_block: int, last_block: int) -> list[RawLog]:
        """The contract's logs of a range of blocks, both ends included.

        Raises:
            LogRangeRefused: The node answered a range of several blocks with an error: a smaller one may do.
        """
        query = {"address": _hex(contract), "fromBlock": hex(first_block), "toBlock": hex(last_block)}
        with node_border():
            try:
                return await self._asker.ask("eth_getLogs", [query], parse_logs)
            except NodeError as exc:
                if first_block == last_block:
                    raise
                raise LogRangeRefused(str(exc)) from exc

    async def fetch_receipt(self, transaction_hash: bytes) -> RawReceipt | None:
        """The receipt; None as long as the transaction stands in no block."""

        def parse(answer: object) -> RawReceipt | None:
            if answer is None:
                return None
            receipt = parse_receipt(answer)
            if receipt.transaction_hash != transaction_hash:
                raise UnusableAnswer("the node gave another transaction's receipt")
            return receipt

        return await self._request(parse, "eth_getTransactionReceipt", _hex(transaction_hash))

    async def is_known(self, transaction_hash: bytes) -> bool:
        """Whether the transaction waits in the node's pool or stands in a block."""
        return await self._request(
            lambda answer: answer is not None, "eth_getTransactionByHash", _hex(transaction_hash)
        )

    async def fetch_calldata(self, transaction_hash: bytes) -> bytes | None:
        """What a transaction says to whom it goes; None if the node does not know it."""
        return await self._request(
            lambda answer: None if answer is None else parse_calldata(answer),
            "eth_getTransactionByHash",
            _hex(transaction_hash),
        )

    async def fetch_tx_nonce(self, account: Address, *, pending: bool) -> int:
        """The account's next tx_nonce, counting what waits in the pool if ``pending``."""
        at = "pending" if pending else "latest"
        return await self._request(parse_quantity, "eth_getTransactionCount", _hex(account), at)

    async def fetch_balance_wei(self, account: Address) -> int:
        """Wei that the account has at the newest block."""
        return await self._request(parse_quantity, "eth_getBalance", _hex(account), "latest")

    async def fetch_fees(self, head: Block | None = None) -> Fees:
        """What to offer now: twice the base fee and the node's tip, or the legacy price where there is no base fee.

        Args:
            head: The newest block, if it is known.
        """
        base_fee_wei = (head or await self.fetch_head()).base_fee_wei
        if base_fee_wei is None:
            return Fees(await self._request(parse_quantity, "eth_gasPrice"), None)
        tip_wei = await self._request(parse_quantity, "eth_maxPriorityFeePerGas")
        return Fees(2 * base_fee_wei + tip_wei, tip_wei)

    async def send(self, raw_transaction: bytes) -> bytes:
        """Hand a signed transaction to the node's pool; its hash (32 bytes).

        Raises:
            TransactionRefused: The pool said no, and why.
            RegistryUnavailable: It is unknown whether the node took it.
        """
        with node_border():
            try:
                return await self._asker.ask(
                    "eth_sendRawTransaction", [_hex(raw_transaction)], lambda answer: parse_bytes(answer, HASH_BYTES)
                )
            except NodeError as exc:
                raise refusal_of_transaction(exc) from exc

    async def _request(self, parse: Parse[_T], method: str, *params: object) -> _T:
        with node_border():
            return await self._asker.ask(method, params, parse)


def _hex(raw: bytes) -> str:
    return f"0x{raw.hex()}"
