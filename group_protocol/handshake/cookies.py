"""Stateless cookies for a master under load (``docs/protocol.md`` §3.2, M1R)."""

from typing import Final

from group_protocol.crypto.kdf import hmac_sha256, is_equal, sha256
from group_protocol.encoding import lp, u64
from group_protocol.messages import CookieChallenge, KeysSessionRequest

_PERIOD_S: Final = 60


class CookieJar:
    """Makes and checks cookies without keeping any.

    A peer shows that it receives answers before it costs the master a key exchange.

    Args:
        key: 32 random bytes, made at start and forgotten at exit.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def challenge(self, peer: str, m1: KeysSessionRequest, now_s: float) -> CookieChallenge:
        """The M1R for this peer address and M1. ``now_s`` may be any steady clock."""
        return CookieChallenge(self._cookie(peer, m1, int(now_s) // _PERIOD_S))

    def is_valid(self, peer: str, m1: KeysSessionRequest, now_s: float) -> bool:
        """Whether M1 carries a cookie made for it in this or the last minute."""
        if m1.cookie is None:
            return False
        period = int(now_s) // _PERIOD_S
        return any(is_equal(m1.cookie, self._cookie(peer, m1, period - age)) for age in (0, 1) if period >= age)

    def _cookie(self, peer: str, m1: KeysSessionRequest, period: int) -> bytes:
        return hmac_sha256(self._key, lp(peer.encode("utf-8"), sha256(m1.core)) + u64(period))
