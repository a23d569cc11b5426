"""This machine's addresses on its networks."""

import ipaddress
from collections.abc import Sequence

import ifaddr

from master_api.hosts import is_loopback, is_wildcard

Parsed = ipaddress.IPv4Address | ipaddress.IPv6Address


def local_addresses(hosts: Sequence[str]) -> tuple[str, ...]:
    """The addresses behind these hosts that other machines may reach: for a wildcard all of its family.

    Link-local ones come last and without a scope, which means something on this machine alone.
    """
    found: dict[Parsed, None] = {}
    ours = [_parse(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    for host in hosts:
        if is_wildcard(host):
            version = 6 if ":" in host else 4
            found |= dict.fromkeys(address for address in ours if address.version == version)
        elif not is_loopback(host) and (literal := _literal(host)) is not None:
            found[literal] = None
    usable = (address for address in found if not address.is_loopback)
    return tuple(map(str, sorted(usable, key=lambda address: (address.is_link_local, address.version, int(address)))))


def _parse(ip: str | tuple[str, int, int]) -> Parsed:
    return ipaddress.ip_address((ip if isinstance(ip, str) else ip[0]).partition("%")[0])


def _literal(host: str) -> Parsed | None:
    try:
        return _parse(host)
    except ValueError:
        return None
