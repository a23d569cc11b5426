"""Token buckets that bound how often strangers make the master work (``docs/protocol.md`` §2, status 429)."""

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

from group_protocol.errors import BusyError

TRACKED_ADDRESSES_MAX = 4_096
"""Addresses remembered at a time, about 1 MB. The longest unseen is forgotten; the global bucket still binds it."""
IPV6_SITE_BITS = 64
"""One IPv6 customer holds at least a /64 (RFC 6177), so it counts as one address."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Sustained events per second, and how many may come at once after a rest."""

    per_s: float
    burst: int


class TokenBucket:
    """A bucket that fills at ``rate.per_s`` up to ``rate.burst``. Time is handed in."""

    __slots__ = ("_filled_at_s", "_rate", "_tokens")

    def __init__(self, rate: Rate, now_s: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._filled_at_s = now_s

    def seconds_until_token(self, now_s: float) -> float:
        """0 if a token is there, else how long until one is."""
        elapsed_s = max(0.0, now_s - self._filled_at_s)
        self._tokens = min(float(self._rate.burst), self._tokens + elapsed_s * self._rate.per_s)
        self._filled_at_s = now_s
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / self._rate.per_s

    def take(self) -> None:
        """Take the token that :meth:`seconds_until_token` has just seen."""
        self._tokens -= 1.0


class HandshakeLimiter:
    """Bounds handshake messages (M1, M3) per address and over all addresses."""

    def __init__(self, per_address: Rate, overall: Rate, now_s: float) -> None:
        self._per_address = per_address
        self._overall = TokenBucket(overall, now_s)
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def change_rates(self, per_address: Rate, overall: Rate, now_s: float) -> None:
        """From now on these rates. Every bucket begins full."""
        self._per_address = per_address
        self._overall = TokenBucket(overall, now_s)
        self._buckets.clear()

    def admit(self, peer: str, now_s: float) -> None:
        """Count one handshake message from this address.

        Raises:
            BusyError: The address or the whole edge is over its rate; nothing was counted.
        """
        bucket = self._bucket(site_of(peer), now_s)
        wait_s = max(bucket.seconds_until_token(now_s), self._overall.seconds_until_token(now_s))
        if wait_s > 0:
            raise BusyError("too many handshakes", retry_after_s=math.ceil(wait_s))
        bucket.take()
        self._overall.take()

    def _bucket(self, site: str, now_s: float) -> TokenBucket:
        bucket = self._buckets.get(site)
        if bucket is None:
            bucket = self._buckets[site] = TokenBucket(self._per_address, now_s)
            if len(self._buckets) > TRACKED_ADDRESSES_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(site)
        return bucket


@lru_cache(maxsize=TRACKED_ADDRESSES_MAX)
def site_of(peer: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 /64. Text that is neither stands for itself."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), IPV6_SITE_BITS), strict=False))
    return str(address)
