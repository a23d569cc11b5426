"""Listens to an exchange that goes on without us: any slave and its master, on an interface of this machine."""

import asyncio
from collections.abc import Iterable

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from measure.errors import MeasurementError
from measure.table2.operations import OURS, THEIRS
from measure.traffic.packets import Capture
from measure.traffic.run import SystemTraffic
from measure.traffic.secrecy import parse_body
from measure.traffic.tshark import find_tshark, sniffing

_CLEAR_MEMBERS = frozenset({"slavePubRSAKey", "MasterPubRSAKey", "objectPubKey", "oid", "token", "data"})
"""Members of the paper's bodies: who sends them speaks its protocol."""


async def watch(interface: str, port: int, steps: Iterable[int]) -> SystemTraffic:
    """Listen for as long as ``steps`` last, a second each.

    Raises:
        ConfigurationError: tshark is not installed, may not listen, or there is no such interface.
        MeasurementError: Nothing was heard.
    """
    tshark = find_tshark()
    if tshark is None:
        raise ConfigurationError(
            "listening to an interface needs tshark",
            remedy="Install it (apt install tshark), or leave --interface out.",
            code=ErrorCode.TSHARK_UNUSABLE,
        )
    async with sniffing(tshark, interface, port) as sniffer:
        try:
            for _ in steps:
                await asyncio.sleep(1.0)
        finally:
            capture = await sniffer.settle_and_read()
    if not capture.packets:
        raise MeasurementError(f"nothing was heard on {interface}, TCP port {port}")
    system = system_of(capture)
    return SystemTraffic(system, capture, (), 0, is_ours=system == OURS)


def system_of(capture: Capture) -> str:
    """Whose protocol was spoken."""
    for connection in capture.connections:
        for exchange in connection.exchanges:
            if _CLEAR_MEMBERS & parse_body(exchange.request.body).keys():
                return THEIRS
    return OURS
