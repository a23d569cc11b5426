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
LOUD_CALLS = 10.0
"""An address with so many calls that have not faded yet is loud: three or four joins within ten seconds."""
FADING_CALLS_PER_S = 1.0


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


class RecentCalls:
    """How often each address has called of late: a count that fades. Time is handed in."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def note(self, site: str, now_s: float) -> None:
        """Count a call. Of more than 4,096 addresses the longest silent is forgotten."""
        self._calls[site] = (self.of(site, now_s) + 1.0, now_s)
        self._calls.move_to_end(site)
        if len(self._calls) > TRACKED_ADDRESSES_MAX:
            self._calls.popitem(last=False)

    def of(self, site: str, now_s: float) -> float:
        """Calls that have not faded."""
        calls, at_s = self._calls.get(site, (0.0, now_s))
        return max(0.0, calls - max(0.0, now_s - at_s) * FADING_CALLS_PER_S)

    def is_loud(self, site: str, now_s: float) -> bool:
        """Whether the address has called so often that others go first."""
        return self.of(site, now_s) >= LOUD_CALLS


class HandshakeLimiter:
    """Bounds handshake messages (M1, M3) per address and over all addresses.

    Half of what all may have together is kept for addresses that have called rarely of late: the loud ones share the
    other half, which the rare ones may use too (``docs/adr/0026-handshake-turns.md``).

    Args:
        per_address: For each address.
        overall: For all together.
        now_s: The time.
        calls: What is known of the callers; whoever serves them notes their calls.
    """

    def __init__(self, per_address: Rate, overall: Rate, now_s: float, calls: RecentCalls | None = None) -> None:
        self._per_address = per_address
        self._kept, self._shared = _halves(overall, now_s)
        self._calls = RecentCalls() if calls is None else calls
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def change_rates(self, per_address: Rate, overall: Rate, now_s: float) -> None:
        """From now on these rates. Every bucket begins full."""
        self._per_address = per_address
        self._kept, self._shared = _halves(overall, now_s)
        self._buckets.clear()

    def admit(self, peer: str, now_s: float) -> None:
        """Count one handshake message from this address.

        Raises:
            BusyError: The address or the whole edge is over its rate; nothing was counted.
        """
        site = site_of(peer)
        bucket, overall = self._bucket(site, now_s), self._shared
        overall_s = overall.seconds_until_token(now_s)
        if not self._calls.is_loud(site, now_s) and (kept_s := self._kept.seconds_until_token(now_s)) <= overall_s:
            overall, overall_s = self._kept, kept_s
        wait_s = max(bucket.seconds_until_token(now_s), overall_s)
        if wait_s > 0:
            raise BusyError("too many handshakes", retry_after_s=math.ceil(wait_s))
        bucket.take()
        overall.take()

    def _bucket(self, site: str, now_s: float) -> TokenBucket:
        bucket = self._buckets.get(site)
        if bucket is None:
            bucket = self._buckets[site] = TokenBucket(self._per_address, now_s)
            if len(self._buckets) > TRACKED_ADDRESSES_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(site)
        return bucket


def _halves(rate: Rate, now_s: float) -> tuple[TokenBucket, TokenBucket]:
    if rate.burst < 2:  # one at a time: there is nothing to divide
        whole = TokenBucket(rate, now_s)
        return whole, whole
    half = Rate(rate.per_s / 2, rate.burst // 2)
    return TokenBucket(half, now_s), TokenBucket(Rate(half.per_s, rate.burst - half.burst), now_s)


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
