"""The whole experiment of Figures 9 to 13, with its results, tables and plot."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.suites import Suite
from measure.errors import MeasurementError
from measure.idle import IdleCheck
from measure.machine import Machine
from measure.quantities import MeasuredSeries, SeriesKey
from measure.results import Results, now_text
from measure.session import Outcome
from measure.table2.run import Progress
from measure.traffic.packets import Packet
from measure.traffic.plots import draw_traffic
from measure.traffic.run import SystemTraffic, read_as_man_in_the_middle, record_traffic
from measure.traffic.secrecy import Finding
from measure.traffic.tables import bytes_table, fields_table, join_steps, packets_table, secrecy_table
from measure.traffic.watch import watch

SUITES = (Suite.H1, Suite.E1)
"""The product's default, with ML-KEM, and the one without; the paper's own RSA step is in its protocol's column."""


@dataclass(frozen=True, slots=True)
class TrafficSettings:
    """What to listen to.

    Attributes:
        suites: Key exchanges of our slaves; each makes an exchange of its own.
        interface: Others' exchange on this interface; empty for an exchange of our own on loopback.
        port: The master's, with an interface.
        seconds: How long, with an interface.
    """

    suites: tuple[str, ...] = SUITES
    uses_tshark: bool = True
    interface: str = ""
    port: int = 3000
    seconds: int = 30


def run_traffic(
    machine: Machine, checks: tuple[IdleCheck, ...], settings: TrafficSettings, progress: Progress
) -> Outcome:
    """Listen, look, and count.

    Raises:
        ConfigurationError: No such suite or interface, or tshark may not listen.
    """
    suites = [_suite(name) for name in dict.fromkeys(settings.suites)]
    results = Results("traffic", machine, asdict(settings), checks, at=now_text())
    try:
        if settings.interface:
            return _watch_others(results, settings, progress)
        systems = asyncio.run(record_traffic(uses_tshark=settings.uses_tshark, suites=suites))
        attacked = asyncio.run(read_as_man_in_the_middle())
    except KeyboardInterrupt:
        results.is_partial = True
        return Outcome(results, [], {})
    except MeasurementError as exc:
        results.is_partial, results.extra["failure"] = True, str(exc)
        return Outcome(results, [], {})
    _fill(results, systems, attacked)
    appendix = [table for one in systems for table in (fields_table(one), packets_table(one.system, one.capture))]
    plots = {"traffic": draw_traffic(systems)}
    return Outcome(results, [bytes_table(systems), secrecy_table(systems, attacked)], plots, appendix)


def _suite(name: str) -> Suite:
    if name not in SUITES:
        raise ConfigurationError(
            f"traffic has no suite {name}", remedy=f"One of {', '.join(SUITES)}.", code=ErrorCode.ARGUMENT_WRONG
        )
    return Suite(name)


def _watch_others(results: Results, settings: TrafficSettings, progress: Progress) -> Outcome:
    heard = asyncio.run(watch(settings.interface, settings.port, progress(range(settings.seconds), "listening")))
    _fill(results, [heard], ())
    return Outcome(results, [packets_table(heard.system, heard.capture), fields_table(heard)], {})


def _fill(results: Results, systems: Sequence[SystemTraffic], attacked: Sequence[Finding]) -> None:
    for one in systems:
        for step in join_steps(one.capture):
            for quantity, count in (("request", step.request_bytes), ("answer", step.answer_bytes)):
                key = SeriesKey(one.system, step.path, quantity, "bytes")
                results.series.append(MeasuredSeries(key, (float(count),), one.capture.by))
        results.extra[one.system] = {
            "by": one.capture.by,
            "findings": {finding.name: finding.spelling for finding in one.findings},
            "repeated_ciphertexts": one.repeated,
            "packets": [_packet_to_json(packet) for packet in one.capture.packets],
        }
    if leaks := [finding.name for one in systems if one.is_ours for finding in one.findings if finding.is_seen]:
        results.extra["failure"] = f"in the capture of our own exchange, in clear: {', '.join(leaks)}"
    results.extra["man_in_the_middle_reads"] = [finding.name for finding in attacked]


def _packet_to_json(packet: Packet) -> list[object]:
    return [packet.number, round(packet.time_s, 6), packet.source, packet.destination, packet.protocol,
            packet.frame_bytes, packet.info, packet.payload.hex()]  # fmt: skip
