"""One node by its URL: asking it once, and how it has fared so far."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlsplit

from web3 import AsyncWeb3
from web3.types import RPCEndpoint

from chain_gateway.translate import result_of

_T = TypeVar("_T")
Parse = Callable[[object], _T]
"""Reads an answer. Raises UnusableAnswer for nonsense."""

_LATENCY_WEIGHT = 0.1
"""Of the newest answer in the running mean."""
FIRST_PENALTY_S = 2.0
LONGEST_PENALTY_S = 120.0


class Standing(StrEnum):
    """What a node is good for."""

    UNKNOWN = "not asked yet"
    GOOD = "ok"
    FAILING = "failing"
    BEHIND = "behind the others"
    LYING = "contradicts itself"
    OTHER_CHAIN = "of another chain"


@dataclass(frozen=True, slots=True)
class ChainMark:
    """What tells one chain from every other.

    Attributes:
        genesis_hash: 32 bytes.
    """

    chain_id: int
    genesis_hash: bytes


class Endpoint:
    """A node. Times are the event loop's clock.

    Attributes:
        name: Its URL without user, password and query, for logs and people.
        standing: What it is good for, and...
        why: ...why not.
        mark: Which chain it is of, once that was asked; forgotten when it fails.
        head: Number of its newest block, as far as is known; -1 at first.
        head_moved_at_s: When that last rose.
    """

    def __init__(self, web3: AsyncWeb3[Any], name: str, *, request_timeout_s: float, requests_at_once: int) -> None:
        self._provider = web3.provider
        self._request_timeout_s = request_timeout_s
        # A request's time begins when its turn comes, so that a crowd makes nobody run out of time.
        self._turns = asyncio.Semaphore(requests_at_once)
        self.name = name
        self.standing = Standing.UNKNOWN
        self.why = ""
        self.mark: ChainMark | None = None
        self.head = -1
        self.head_moved_at_s = 0.0
        self.latency_s: float | None = None
        self._penalty_s = 0.0
        self._rests_until_s = 0.0

    async def ask(self, method: str, params: Sequence[object], parse: Parse[_T]) -> _T:
        """One request.

        Raises:
            NodeError: The node answered with an error.
            Exception: Whatever :func:`chain_gateway.translate.node_border` turns into RegistryUnavailable.
        """
        async with self._turns, asyncio.timeout(self._request_timeout_s):
            began_s = time.perf_counter()
            answer = parse(result_of(await self._provider.make_request(RPCEndpoint(method), list(params))))
            took_s = time.perf_counter() - began_s
        before_s = took_s if self.latency_s is None else self.latency_s
        self.latency_s = before_s + _LATENCY_WEIGHT * (took_s - before_s)
        return answer

    def is_resting(self, now_s: float) -> bool:
        """Whether it failed so lately that others are asked first."""
        return now_s < self._rests_until_s

    def note_good(self) -> None:
        """It answered with sense."""
        self.standing, self.why, self._penalty_s = Standing.GOOD, "", 0.0

    def note_bad(self, standing: Standing, why: str, now_s: float, *, rest_s: float | None = None) -> None:
        """It did not; each time in a row it rests for twice as long."""
        self.standing, self.why = standing, why
        self._penalty_s = min(max(2 * self._penalty_s, FIRST_PENALTY_S), LONGEST_PENALTY_S)
        self._rests_until_s = now_s + (self._penalty_s if rest_s is None else rest_s)
        if standing in (Standing.FAILING, Standing.OTHER_CHAIN):
            self.mark = None  # who answers there next is asked anew which chain it has

    def note_head(self, number: int, now_s: float) -> None:
        """It told of its newest block."""
        if number > self.head:
            self.head_moved_at_s = now_s
        self.head = number


def public_name(url: str) -> str:
    """A URL without what may be secret in it."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
