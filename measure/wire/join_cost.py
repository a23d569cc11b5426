"""What joining costs, as seen on the wire between a slave and its master (docs/protocol.md §3, §7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from measure.errors import MeasurementError
from measure.wire.capture import Exchange, RecordedConnection

JOIN_PATHS: Final = ("/keysSession", "/getTicket", "/assoc")
_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class JoinCost:
    """One join: M1 to M6.

    Attributes:
        total_ms: From the first byte of M1 to the last of M6.
        slave_ms: Of these, between an answer and the next request: the slave's cryptography and disk.
        master_ms: Of these, between M1 and M2 and between M3 and M4: the master's cryptography and store.
        chain_ms: Of these, between M5 and M6: the transaction, its block and its receipt.
        wire_bytes: HTTP with first lines and headers, both directions.
        body_bytes: The JSON bodies alone.
        connections: TCP connections that it took.
    """

    total_ms: float
    slave_ms: float
    master_ms: float
    chain_ms: float
    wire_bytes: int
    body_bytes: int
    connections: int


def measure_join(connections: Sequence[RecordedConnection]) -> JoinCost:
    """Measure the first join among these connections.

    Raises:
        MeasurementError: There is no whole join.
    """
    used = [connection for connection in connections if any(map(_is_join_step, connection.exchanges))]
    exchanges = [exchange for connection in used for exchange in connection.exchanges if _is_join_step(exchange)]
    exchanges.sort(key=lambda exchange: exchange.request.began_s)
    if {exchange.path for exchange in exchanges} != set(JOIN_PATHS):
        raise MeasurementError(f"no whole join was seen on the wire, only {[exchange.path for exchange in exchanges]}")
    chain_s = sum(_wait_s(exchange) for exchange in exchanges if exchange.path == "/assoc")
    return JoinCost(
        total_ms=(exchanges[-1].answer.ended_s - exchanges[0].request.began_s) * _MS,
        slave_ms=sum(later.request.began_s - earlier.answer.ended_s for earlier, later in pairwise(exchanges)) * _MS,
        master_ms=sum(_wait_s(exchange) for exchange in exchanges if exchange.path != "/assoc") * _MS,
        chain_ms=chain_s * _MS,
        wire_bytes=sum(exchange.wire_bytes for exchange in exchanges),
        body_bytes=sum(len(exchange.request.body) + len(exchange.answer.body) for exchange in exchanges),
        connections=len(used),
    )


def _is_join_step(exchange: Exchange) -> bool:
    return exchange.path in JOIN_PATHS


def _wait_s(exchange: Exchange) -> float:
    return exchange.answer.ended_s - exchange.request.began_s
