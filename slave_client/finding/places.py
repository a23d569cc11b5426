"""Places where a master may be."""

import ipaddress
import socket
from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """How a place came to be known. In this order they are tried."""

    TYPED = "typed"
    """It stands in the pairing string."""
    LAST = "last"
    """The master proved itself there before."""
    MDNS = "mdns"
    """Somebody on the local network says that it is there."""


@dataclass(frozen=True, slots=True)
class Place:
    """An endpoint.

    Attributes:
        host: Name or IP address, an IPv6 address without brackets, a link-local one with its scope (``fe80::1%eth0``).
        port: 1–65,535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return join_authority(self.host, self.port)


def join_authority(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def on_every_link(place: Place) -> tuple[Place, ...]:
    """The place itself; for an IPv6 link-local address without a scope, the same address on each of our links."""
    try:
        address = ipaddress.ip_address(place.host)
    except ValueError:
        return (place,)
    if not isinstance(address, ipaddress.IPv6Address) or not address.is_link_local or address.scope_id:
        return (place,)
    links = [name for _, name in socket.if_nameindex() if name != "lo"]
    return tuple(Place(f"{place.host}%{name}", place.port) for name in links) or (place,)


def is_usable_hint(host: str) -> bool:
    """Whether an address out of an advertisement may be asked: one unicast address of another machine.

    A hint names no loopback address, so that it never points at services of this machine.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved)
