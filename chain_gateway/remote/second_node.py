"""A second node of the chain, asked directly (``verify_rpc``): what the gateway tells has to be what this node has.

Plain JSON-RPC over aiohttp, without web3. Two nodes may be a block apart or on two branches for a moment: that is no
lie, and is asked again. A lie is: the same block, and other logs in it.
"""

import asyncio
import itertools
from typing import Final, Self

import aiohttp

from chain_gateway.chain_reader import ChainReader
from chain_gateway.node_answers import Block, RawLog, RawReceipt, parse_block, parse_bytes, parse_logs, parse_quantity
from chain_gateway.node_answers import parse_receipt as parse_raw_receipt
from chain_gateway.remote.client import read_bounded
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import DecodingError, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import Address
from group_protocol.shallow_json import load_shallow_json

_HEADER_ONLY: Final = False
_CHECK: Final = "Check verify_rpc: the second node's URL, and that it runs and follows the same chain."


class SecondNode:
    """Asks a node by JSON-RPC. Use it as an async context manager. Every method may raise RegistryUnavailable."""

    def __init__(self, url: str, *, request_timeout_s: float) -> None:
        self._url = url
        self._timeout_s = request_timeout_s
        self._http: aiohttp.ClientSession | None = None
        self._ids = itertools.count(1)

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def fetch_chain_id(self) -> int:
        """EIP-155 chain id."""
        return parse_quantity(await self._ask("eth_chainId"))

    async def fetch_code(self, contract: Address) -> bytes:
        """Runtime code at an address; empty where there is no contract."""
        return parse_bytes(await self._ask("eth_getCode", f"0x{contract.hex()}", "latest"))

    async def fetch_block(self, number: int) -> Block | None:
        """The canonical block of that height; None above the head."""
        answer = await self._ask("eth_getBlockByNumber", hex(number), _HEADER_ONLY)
        return None if answer is None else parse_block(answer)

    async def fetch_logs(self, contract: Address, first_block: int, last_block: int) -> list[RawLog]:
        """The contract's logs of a range of blocks, both ends included."""
        query = {"address": f"0x{contract.hex()}", "fromBlock": hex(first_block), "toBlock": hex(last_block)}
        return parse_logs(await self._ask("eth_getLogs", query))

    async def fetch_receipt(self, transaction_hash: bytes) -> RawReceipt | None:
        """The receipt; None as long as the transaction stands in no block."""
        answer = await self._ask("eth_getTransactionReceipt", f"0x{transaction_hash.hex()}")
        return None if answer is None else parse_raw_receipt(answer)

    async def _ask(self, method: str, *params: object) -> object:
        if self._http is None:
            raise RegistryUnavailable("the second node's connection is closed")
        asked = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        try:
            async with asyncio.timeout(self._timeout_s), self._http.post(self._url, json=asked) as answer:
                told = load_shallow_json(await read_bounded(answer))
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError, DecodingError) as exc:
            cause = type(exc).__name__
            raise RegistryUnavailable(
                f"the second node cannot be asked: {cause}", remedy=_CHECK, code=ErrorCode.CHAIN_UNREACHABLE
            ) from exc
        if not isinstance(told, dict) or "result" not in told:
            raise RegistryUnavailable(
                f"the second node gives no result for {method}", remedy=_CHECK, code=ErrorCode.CHAIN_UNREACHABLE
            )
        return told["result"]


class VerifiedChain:
    """A gateway's :class:`chain_gateway.chain_reader.ChainReader`, as far as a second node says the same."""

    def __init__(self, told: ChainReader, second: SecondNode) -> None:
        self._told = told
        self._second = second

    async def fetch_head(self) -> Block:
        """The gateway's newest block."""
        return await self._told.fetch_head()

    async def fetch_block(self, number: int) -> Block | None:
        """The gateway's block of that height."""
        return await self._told.fetch_block(number)

    async def fetch_logs(self, contract: Address, first_block: int, last_block: int) -> list[RawLog]:
        """The logs that both tell.

        Raises:
            RegistryUnavailable: The second node is behind or on another branch.
            RegistryInconsistent: It has the same blocks and other logs in them.
        """
        logs = await self._told.fetch_logs(contract, first_block, last_block)
        ours, theirs = await self._told.fetch_block(last_block), await self._second.fetch_block(last_block)
        if ours is None or theirs is None or ours.block_hash != theirs.block_hash:
            raise RegistryUnavailable(f"gateway and second node do not have the same block {last_block} now")
        if logs != await self._second.fetch_logs(contract, first_block, last_block):
            again = await self._second.fetch_block(last_block)
            if again is None or again.block_hash != theirs.block_hash:
                raise RegistryUnavailable("the chain changed while the gateway's logs were compared")
            raise RegistryInconsistent(
                f"the gateway tells of other events in the blocks {first_block} to {last_block} than the second node",
                remedy="One of the two lies. Ask a third node, and trust neither until you know which.",
                code=ErrorCode.SECOND_NODE_DISAGREES,
            )
        return logs
