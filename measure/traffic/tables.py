"""The paper's Figures 9 to 13 as tables: packets, fields, bytes, and what a listener learns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from measure.paper_baseline.http_form import CAPTURED
from measure.report.figures import ABSENT
from measure.report.tables import Table
from measure.table2.operations import THEIRS
from measure.traffic.packets import Capture
from measure.traffic.run import SystemTraffic
from measure.traffic.secrecy import Finding, parse_body
from measure.wire.capture import Exchange

JOIN_PATHS: Final = tuple(step.path for step in CAPTURED)
_FIGURES: Final = {
    ("/keysSession", True): "Fig. 9",
    ("/keysSession", False): "Fig. 10",
    ("/getTicket", True): "Fig. 11",
    ("/getTicket", False): "Fig. 12",
    ("/assoc", True): "Fig. 13",
    ("/assoc", False): "Fig. 13, answer",
}
_SHOWN_CHARACTERS: Final = 34
_MEANING: Final = {
    "v": "version", "suites": "offer", "suite": "choice", "aeads": "offer", "aead": "choice",
    "gid": "group id; empty before the first ticket", "sn": "random", "mn": "random", "sid": "random session id",
    "share": "ephemeral public key", "sig": "master's signature of the exchange", "fin": "key confirmation",
    "seq": "counter", "sealed": "ciphertext with authentication", "cookie": "proof of address",
    "slavePubRSAKey": "slave's RSA key, unauthenticated", "MasterPubRSAKey": "master's RSA key, unused",
    "encryptedAESKey": "session key and IV under RSA", "oid": "object id, in clear",
    "objectPubKey": "public key, in clear",
    "token": "ciphertext without authentication", "data": "ciphertext without authentication",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StepCost:
    """One step of one system."""

    path: str
    request_bytes: int
    answer_bytes: int
    wait_ms: float


def join_steps(capture: Capture) -> list[StepCost]:
    """The join's steps in order."""
    exchanges = [exchange for connection in capture.connections for exchange in connection.exchanges]
    return [_cost_of(exchange) for exchange in exchanges if exchange.path in JOIN_PATHS]


def bytes_table(systems: Sequence[SystemTraffic]) -> Table:
    """Bytes of HTTP, round trips and connections per step, beside the paper's captures."""
    steps = {one.system: {step.path: step for step in join_steps(one.capture)} for one in systems}
    rows = [
        (
            captured.path,
            f"{captured.request_bytes:,} / {captured.answer_bytes:,}",
            *(_step_text(steps[one.system].get(captured.path)) for one in systems),
        )
        for captured in CAPTURED
    ]
    captured_bytes = sum(step.request_bytes + step.answer_bytes for step in CAPTURED)
    totals = [sum(step.request_bytes + step.answer_bytes for step in steps[one.system].values()) for one in systems]
    rows.append(("whole join, both ways", f"{captured_bytes:,}", *(f"{total:,}" for total in totals)))
    rows.append(("a data message", ABSENT, *(_step_text(_data_step(one.capture)) for one in systems)))
    rows.append(("round trips of the join", "3", *(str(len(steps[one.system])) for one in systems)))
    rows.append(("TCP connections of the join", "3", *(str(_join_connections(one.capture)) for one in systems)))
    rows.append(("waiting for answers, ms", ABSENT,
                 *(f"{sum(step.wait_ms for step in steps[one.system].values()):.0f}" for one in systems)))  # fmt: skip
    return Table(
        "Bytes per step: request / answer, HTTP head and body",
        ("Step", "paper's captures", *(f"{one.system}, here" for one in systems)),
        tuple(rows),
        notes=(
            f"Heard by {systems[0].capture.by}. The paper's captures: from its Figures 9, 10, 11, 13.",
            "Ours waits for its block in /assoc; the paper's register is in memory here.",
        ),
    )


def secrecy_table(systems: Sequence[SystemTraffic], man_in_the_middle: Sequence[Finding]) -> Table:
    """What is in the capture, in whatever spelling, and what somebody in the middle gets."""
    names = list(dict.fromkeys(finding.name for one in systems for finding in one.findings))
    found = {(one.system, finding.name): finding for one in systems for finding in one.findings}
    read = {finding.name for finding in man_in_the_middle}
    rows = [
        (name, *(_seen(found.get((one.system, name))) for one in systems), "✗ read" if name in read else ABSENT)
        for name in names
    ]
    rows.append(("equal readings look equal", *(_repeated(one) for one in systems), ABSENT))
    return Table(
        "What a listener finds in the capture",
        ("Looked for", *(f"{one.system}" for one in systems), f"{THEIRS}, man in the middle"),
        tuple(rows),
        notes=(
            (
                "Looked for in every byte of both directions: raw, hex, base64, base64url, as an array of numbers,"
                " and inside every decoded member. ✓ is not there, ✗ is there."
            ),
            "Man in the middle: puts its own RSA key into /keysSession, unnoticed, and holds the session key then.",
            "Our session keys are derived at both ends and never sent, so there is nothing of them to look for.",
        ),
        text_columns=frozenset(range(1, len(systems) + 2)),
    )


def fields_table(one: SystemTraffic) -> Table:
    """Each member of each body, as Figures 9 to 13 show them."""
    rows = [row for exchange in _first_of_each_path(one.capture) for row in _field_rows(exchange)]
    return Table(
        f"Figures 9 to 13, fields: {one.system}",
        ("Figure", "message", "member", "characters", "begins with", "is"),
        tuple(rows),
        text_columns=frozenset({1, 2, 4, 5}),
    )


def packets_table(system: str, capture: Capture) -> Table:
    """The packet list, in the columns of the figures."""
    rows = tuple(
        (str(packet.number), f"{packet.time_s:.6f}", packet.source, packet.destination, packet.protocol,
         f"{packet.frame_bytes:,}", packet.info[:70])
        for packet in capture.packets
    )  # fmt: skip
    notes = ("Length is that of the frame.",) if capture.has_packets else (
        "The proxy sees what TCP carries, not its packets: length is the payload's, and there is no SYN, ACK or FIN.",
    )  # fmt: skip
    return Table(
        f"Figures 9 to 13, packets: {system}",
        ("No.", "Time", "Source", "Destination", "Protocol", "Length", "Info"),
        rows,
        notes=notes,
        text_columns=frozenset({2, 3, 4, 6}),
    )


def _cost_of(exchange: Exchange) -> StepCost:
    wait_ms = (exchange.answer.ended_s - exchange.request.began_s) * 1_000
    return StepCost(exchange.path, exchange.request.wire_bytes, exchange.answer.wire_bytes, wait_ms)


def _data_step(capture: Capture) -> StepCost | None:
    exchanges = (exchange for connection in capture.connections for exchange in connection.exchanges)
    return next((_cost_of(exchange) for exchange in exchanges if exchange.path == "/data"), None)


def _join_connections(capture: Capture) -> int:
    return sum(any(exchange.path in JOIN_PATHS for exchange in one.exchanges) for one in capture.connections)


def _step_text(step: StepCost | None) -> str:
    return f"{step.request_bytes:,} / {step.answer_bytes:,}" if step else ABSENT


def _seen(finding: Finding | None) -> str:
    if finding is None:
        return ABSENT
    return f"✗ {finding.spelling}" if finding.is_seen else "✓ not there"


def _repeated(one: SystemTraffic) -> str:
    return f"✗ {one.repeated} repeated" if one.repeated else "✓ never"


def _first_of_each_path(capture: Capture) -> list[Exchange]:
    first: dict[str, Exchange] = {}
    for connection in capture.connections:
        for exchange in connection.exchanges:
            first.setdefault(exchange.path, exchange)
    return list(first.values())


def _field_rows(exchange: Exchange) -> Iterator[tuple[str, ...]]:
    for is_request, message in ((True, exchange.request), (False, exchange.answer)):
        figure = _FIGURES.get((exchange.path, is_request), "–")
        name = f"{exchange.path}{'' if is_request else ' answer'}"
        members = parse_body(message.body)
        for member, value in members.items():
            text = _text(value)
            yield (figure, name, member, f"{len(text):,}", _shorten(text), _MEANING.get(member, ""))
        if not members:
            yield (figure, name, "–", f"{len(message.body):,}", _shorten(message.body.decode("latin-1")), "")


def _text(value: Any) -> str:  # noqa: ANN401 - foreign JSON
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return f"{value.get('type')} [{','.join(map(str, value['data']))}]"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
