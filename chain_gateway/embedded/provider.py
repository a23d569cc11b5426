"""The chain as web3 sees it: a provider that answers in process, from a thread of its own.

The EVM is Python and takes milliseconds per transaction. One dedicated thread runs everything that touches the chain,
one request after the other, so that the caller's event loop stays free and the chain needs no locks. Transactions
that arrive while a block is being mined wait and share the next one (group commit): more load makes fuller blocks,
not a longer queue of flushes.
"""

import asyncio
import itertools
import logging
import sqlite3
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from eth.exceptions import PyEVMError
from trie.exceptions import MissingTrieNode
from web3.providers.async_base import AsyncBaseProvider
from web3.types import RPCEndpoint, RPCError, RPCResponse

from chain_gateway.embedded.errors import ChainClosed, RpcError
from chain_gateway.embedded.miner import INTERNAL_ERROR, Miner
from chain_gateway.embedded.rpc import RpcMethods
from chain_gateway.embedded.rpc_values import INVALID_PARAMS, data, parse_data

MAX_BATCH = 256
"""Most transactions that share a block, so that the first of them does not wait long for the last."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A raw transaction on its way into a block; two of the same bytes are two."""

    raw: bytes
    outcome: bytes | RpcError | None = None


class EmbeddedProvider(AsyncBaseProvider):
    """web3's provider interface over one chain. Safe to share between tasks and event loops."""

    def __init__(self, miner: Miner, methods: RpcMethods) -> None:
        super().__init__()
        self._miner = miner
        self._methods = methods
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-chain")
        self._arrivals: SimpleQueue[_Waiting] = SimpleQueue()
        self._backlog: deque[_Waiting] = deque()
        self._request_ids = itertools.count(1)
        self._closed = False

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:  # noqa: ANN401 - web3's signature
        """One JSON-RPC request.

        Raises:
            ChainClosed: the chain was closed.
        """
        if self._closed:
            raise ChainClosed("the embedded chain is closed")
        response: RPCResponse = {"jsonrpc": "2.0", "id": next(self._request_ids)}
        try:
            response["result"] = await self._answer(method, params)
        except RpcError as exc:
            response["error"] = _error_object(exc)
        except (sqlite3.Error, PyEVMError, MissingTrieNode) as exc:
            logger.exception("the embedded chain failed in %s", method)
            response["error"] = {"code": INTERNAL_ERROR, "message": f"the embedded chain failed: {exc}"}
        return response

    async def make_batch_request(self, requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse]:
        """Several requests; transactions among them share blocks."""
        return list(await asyncio.gather(*(self.make_request(method, params) for method, params in requests)))

    async def is_connected(self, show_traceback: bool = False) -> bool:  # noqa: ARG002, FBT001, FBT002 - web3's signature
        """True until the chain is closed."""
        return not self._closed

    def close(self) -> None:
        """Finish what was asked for, then stop the thread. Blocks for that long."""
        self._closed = True
        self._thread.shutdown(wait=True)

    async def _answer(self, method: str, params: Sequence[object]) -> object:
        loop = asyncio.get_running_loop()
        if method != "eth_sendRawTransaction":
            return await loop.run_in_executor(self._thread, self._methods.answer, method, params)
        if len(params) != 1:
            raise RpcError(INVALID_PARAMS, "eth_sendRawTransaction takes one parameter")
        waiting = _Waiting(parse_data(params[0]))
        self._arrivals.put(waiting)
        # Shielded: a caller that gives up does not take back what it sent, as with any node.
        return await asyncio.shield(loop.run_in_executor(self._thread, self._settle, waiting))

    def _settle(self, waiting: _Waiting) -> str:
        """In the thread: mine what waits, unless an earlier block has taken this transaction along."""
        try:
            if waiting.outcome is None:
                self._mine_backlog()
        finally:
            if waiting in self._backlog:
                self._backlog.remove(waiting)
        if not isinstance(waiting.outcome, bytes):
            raise waiting.outcome or RpcError(INTERNAL_ERROR, "the transaction was not mined")
        return data(waiting.outcome)

    def _mine_backlog(self) -> None:
        try:
            while True:
                self._backlog.append(self._arrivals.get_nowait())
        except Empty:
            pass
        batch = list(itertools.islice(self._backlog, MAX_BATCH))
        for each, outcome in zip(batch, self._miner.mine([each.raw for each in batch]), strict=True):
            each.outcome = outcome
            self._backlog.popleft()


def _error_object(error: RpcError) -> RPCError:
    answer: RPCError = {"code": error.code, "message": error.message}
    if error.revert_output is not None:
        answer["data"] = data(error.revert_output)
    return answer
