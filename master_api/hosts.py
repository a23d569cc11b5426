"""The hosts that a master listens on: one address, several, or all of the machine's, in IPv4 and IPv6."""

import ipaddress
import socket
from typing import Final

EVERYWHERE: Final = "*"
"""All addresses of the machine, of both families."""
_WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - what `*` stands for


def split_hosts(text: str) -> tuple[str, ...]:
    """The addresses of the setting ``host``: separated by commas, brackets allowed, ``*`` for the two wildcards."""
    hosts: list[str] = []
    for word in text.replace(",", " ").split():
        host = word.removeprefix("[").removesuffix("]")
        hosts += _WILDCARDS if host == EVERYWHERE else (host,)
    return tuple(dict.fromkeys(hosts))


def listening_hosts(text: str) -> tuple[str, ...]:
    """The same on this machine: with ``*``, a family that its kernel does not have is left out."""
    may_lack = EVERYWHERE in text.replace(",", " ").split() and not has_ipv6()
    return tuple(host for host in split_hosts(text) if not (may_lack and host == "::"))


def join_authority(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_wildcard(host: str) -> bool:
    """Whether it stands for all addresses of its family."""
    address = _parse(host)
    return address is not None and address.is_unspecified


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    address = _parse(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def has_ipv6() -> bool:
    """Whether the kernel speaks IPv6 at all."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _parse(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
