"""Which of several nodes is asked.

The first of the list that is good is asked, and stays the one until it fails: it cannot be reached, does not answer in
time, answers nonsense, contradicts itself, or stands still while others go on. Then the next is asked, within the same
question. One that failed rests, each time longer, and is tried again. A node of another chain is never asked anything
but which chain it has: its genesis block tells.

A node that is asked because others failed cannot make itself the first by boasting of a high block: the one in use is
left for being behind only if its own head stands still.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol, TypeVar

from chain_gateway.endpoint import LONGEST_PENALTY_S, ChainMark, Endpoint, Parse, Standing
from chain_gateway.errors import NodeError
from chain_gateway.node_answers import parse_block, parse_quantity
from chain_gateway.translate import node_border
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, RegistryUnavailable
from group_protocol.ports import NodeReport

_T = TypeVar("_T")

CHECK_S = 2.0
"""How often the heads of all nodes are compared, and one that rested is tried."""
BEHIND_BLOCKS = 3
"""A node that stands still so far behind another..."""
BEHIND_S = 10.0
"""...for so long is behind."""

_SICK_CODES = frozenset({-32601, -32603, -32002, -32008})
"""JSON-RPC: no such method, internal error; a node that is not ready or still synchronises."""

_logger = logging.getLogger(__name__)


class Asker(Protocol):
    """Whoever passes a question on to a node."""

    async def ask(self, method: str, params: Sequence[object], parse: Parse[_T]) -> _T:
        """The answer, read.

        Raises:
            NodeError: The node answered with an error.
            RegistryUnavailable: No usable answer.
        """
        ...

    def pinned(self) -> "Asker":
        """One that asks the same node from first to last."""
        ...

    def blame(self, why: str) -> bool:
        """The node that was asked contradicts itself. Answers whether there is another to ask."""
        ...


class OneNode:
    """Asks one node, and goes on asking whatever it answers."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def ask(self, method: str, params: Sequence[object], parse: Parse[_T]) -> _T:
        """See :class:`Asker`."""
        answer, error = await _ask_one(self._endpoint, method, params, parse)
        if error is not None:
            raise error
        return answer  # type: ignore[return-value] # there is one of the two

    def pinned(self) -> Asker:
        """Itself."""
        return self

    def blame(self, _why: str) -> bool:
        """There is no other."""
        return False


class NodeChoice:
    """Several nodes of one chain. :meth:`open` it, and :meth:`close` it.

    Args:
        endpoints: In the operator's order.
        mark: The chain that is expected; None: that of the first node that answers.
    """

    def __init__(self, endpoints: Sequence[Endpoint], mark: ChainMark | None = None) -> None:
        self._endpoints = list(endpoints)
        self._in_use = self._endpoints[0]
        self._watching: asyncio.Task[None] | None = None
        self.mark = mark

    async def open(self) -> None:
        """Find a node of the right chain, and watch all of them from now on.

        Raises:
            ConfigurationError: Every node that answers is of another chain.
            RegistryUnavailable: None answers.
        """
        if len(self._endpoints) > 1:
            self._watching = asyncio.create_task(self._watch())
        for endpoint in self._endpoints:
            if await self._is_admitted(endpoint):
                self._in_use = endpoint
                return
        others = [endpoint for endpoint in self._endpoints if endpoint.standing is Standing.OTHER_CHAIN]
        if others:
            raise ConfigurationError(
                f"{others[0].name} is a node {others[0].why}",
                remedy="Correct the chain's URL, or use the right chain.",
                code=ErrorCode.WRONG_CHAIN,
            )
        raise self._nobody()

    async def close(self) -> None:
        """Stop watching. Idempotent."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def ask(self, method: str, params: Sequence[object], parse: Parse[_T]) -> _T:
        """See :class:`Asker`."""
        refusal: NodeError | None = None
        for endpoint in self._ranked():
            try:
                return await self._ask(endpoint, method, params, parse)
            except NodeError as exc:
                if exc.code not in _SICK_CODES:
                    raise
                refusal = refusal or exc
            except RegistryUnavailable:
                continue
        if refusal is not None:
            raise refusal
        raise self._nobody()

    def pinned(self) -> Asker:
        """One that asks the node in use, and no other, until it is asked for anew."""
        return _Pinned(self, self._ranked()[0])

    def blame(self, why: str) -> bool:
        """See :class:`Asker`."""
        return self._blame(self._in_use, why)

    def reports(self) -> tuple[NodeReport, ...]:
        """How each fares, in the operator's order."""
        return tuple(
            NodeReport(
                name=endpoint.name,
                is_in_use=endpoint is self._in_use,
                is_good=endpoint.standing is Standing.GOOD,
                state=f"{endpoint.standing}: {endpoint.why}" if endpoint.why else str(endpoint.standing),
                head=endpoint.head if endpoint.head >= 0 else None,
                latency_ms=None if endpoint.latency_s is None else round(1_000 * endpoint.latency_s, 1),
            )
            for endpoint in self._endpoints
        )

    async def _ask(self, endpoint: Endpoint, method: str, params: Sequence[object], parse: Parse[_T]) -> _T:
        """Ask one node, if it is of our chain, and keep account of how it does."""
        if not await self._is_admitted(endpoint):
            raise RegistryUnavailable(f"{endpoint.name}: {endpoint.why}")
        try:
            answer, error = await _ask_one(endpoint, method, params, parse)
        except RegistryUnavailable as exc:
            self._note_failure(endpoint, str(exc))
            raise
        if error is not None:
            if error.code in _SICK_CODES:
                self._note_failure(endpoint, str(error))
            raise error
        if endpoint.standing is not Standing.BEHIND:
            endpoint.note_good()
        self._use(endpoint)
        return answer  # type: ignore[return-value] # there is one of the two

    async def _is_admitted(self, endpoint: Endpoint) -> bool:
        """Whether the node is of our chain; asked again after each failure. The first ever says which is ours."""
        if endpoint.mark is None:
            try:
                with node_border():
                    chain_id = await endpoint.ask("eth_chainId", [], parse_quantity)
                    genesis = await endpoint.ask("eth_getBlockByNumber", ["0x0", False], parse_block)
            except RegistryUnavailable as exc:
                self._note_failure(endpoint, str(exc))
                return False
            endpoint.mark = ChainMark(chain_id, genesis.block_hash)
        if self.mark is None:
            self.mark = endpoint.mark
        if endpoint.mark == self.mark:
            return True
        why = (
            f"of chain {endpoint.mark.chain_id} with genesis 0x{endpoint.mark.genesis_hash.hex()[:16]}…, "
            f"not of chain {self.mark.chain_id} with genesis 0x{self.mark.genesis_hash.hex()[:16]}…"
        )
        if endpoint.standing is not Standing.OTHER_CHAIN:
            _logger.error("%s is not used: it is a node %s", endpoint.name, why)
        endpoint.note_bad(Standing.OTHER_CHAIN, why, _now_s(), rest_s=LONGEST_PENALTY_S)
        return False

    def _ranked(self) -> list[Endpoint]:
        """The node in use, then the others in the operator's order; those that rest come last, the quickest first."""
        now_s = _now_s()

        def rank(endpoint: Endpoint) -> tuple[bool, bool, bool]:
            return endpoint.is_resting(now_s), endpoint.standing is Standing.BEHIND, endpoint is not self._in_use

        return sorted(self._endpoints, key=rank)

    def _use(self, endpoint: Endpoint) -> None:
        if endpoint is not self._in_use:
            _logger.warning("asking %s now instead of %s", endpoint.name, self._in_use.name)
            self._in_use = endpoint

    def _note_failure(self, endpoint: Endpoint, why: str) -> None:
        why = _in_short(why)
        if endpoint.standing is not Standing.FAILING:
            _logger.warning("%s fails: %s", endpoint.name, why)
        endpoint.note_bad(Standing.FAILING, why, _now_s())

    def _blame(self, endpoint: Endpoint, why: str) -> bool:
        _logger.error("%s contradicts itself: %s", endpoint.name, why)
        endpoint.note_bad(Standing.LYING, why, _now_s(), rest_s=LONGEST_PENALTY_S)
        now_s = _now_s()
        others = [other for other in self._endpoints if other is not endpoint and other.standing is not Standing.LYING]
        return any(not other.is_resting(now_s) for other in others)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            awake = [endpoint for endpoint in self._endpoints if not endpoint.is_resting(_now_s())]
            await asyncio.gather(*map(self._look_at, awake))
            self._judge_heads()

    async def _look_at(self, endpoint: Endpoint) -> None:
        if not await self._is_admitted(endpoint):
            return
        try:
            block, error = await _ask_one(endpoint, "eth_getBlockByNumber", ["latest", False], parse_block)
        except RegistryUnavailable as exc:
            self._note_failure(endpoint, str(exc))
            return
        if error is not None or block is None:
            self._note_failure(endpoint, str(error))
            return
        endpoint.note_head(block.number, _now_s())
        if endpoint.standing is not Standing.BEHIND:
            endpoint.note_good()

    def _judge_heads(self) -> None:
        """A node that stands still behind another is left; it is good again when it has caught up."""
        sound = [each for each in self._endpoints if each.standing in (Standing.GOOD, Standing.BEHIND)]
        best = max((each.head for each in sound), default=0)
        for endpoint in sound:
            lag = best - endpoint.head
            stands_still = _now_s() - endpoint.head_moved_at_s > BEHIND_S
            if lag <= BEHIND_BLOCKS:
                endpoint.note_good()
            elif stands_still and endpoint.standing is Standing.GOOD:
                endpoint.standing, endpoint.why = Standing.BEHIND, f"{lag} blocks"
                _logger.warning("%s stands still %d blocks behind the others", endpoint.name, lag)

    def _nobody(self) -> RegistryUnavailable:
        states = "; ".join(f"{each.name}: {each.why or each.standing}" for each in self._endpoints)
        return RegistryUnavailable(
            f"no node of the chain can be asked ({states})",
            remedy="Check that the nodes run and that their URLs are right, then try again.",
        )


class _Pinned:
    """Asks one of several, so that what is asked together is answered by one."""

    def __init__(self, choice: NodeChoice, endpoint: Endpoint) -> None:
        self._choice = choice
        self._endpoint = endpoint

    async def ask(self, method: str, params: Sequence[object], parse: Parse[_T]) -> _T:
        """See :class:`Asker`. One that fails is not asked first next time."""
        return await self._choice._ask(self._endpoint, method, params, parse)  # noqa: SLF001 - a part of it

    def pinned(self) -> Asker:
        """Itself."""
        return self

    def blame(self, why: str) -> bool:
        """See :class:`Asker`."""
        return self._choice._blame(self._endpoint, why)  # noqa: SLF001 - a part of it


async def _ask_one(
    endpoint: Endpoint, method: str, params: Sequence[object], parse: Parse[_T]
) -> tuple[_T | None, NodeError | None]:
    """An answer, or the node's own error, which says nothing against the node. Raises RegistryUnavailable."""
    with node_border():
        try:
            return await endpoint.ask(method, params, parse), None
        except NodeError as exc:
            return None, exc


def _in_short(why: str) -> str:
    """A failure in the words that belong behind a node's name."""
    return why.removeprefix("the chain's node ").partition(" ssl:default")[0].partition(" [Connect call")[0]


def _now_s() -> float:
    return asyncio.get_running_loop().time()
