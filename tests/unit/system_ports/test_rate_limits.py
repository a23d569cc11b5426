import pytest

from group_protocol.errors import BusyError
from system_ports.rate_limits import TRACKED_ADDRESSES_MAX, HandshakeLimiter, Rate, TokenBucket, site_of


def test_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = TokenBucket(Rate(per_s=2.0, burst=3), now_s=0.0)
    for _ in range(3):
        assert bucket.seconds_until_token(0.0) == 0.0
        bucket.take()
    assert bucket.seconds_until_token(0.0) == 0.5
    assert bucket.seconds_until_token(0.5) == 0.0


def test_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(Rate(per_s=100.0, burst=1), now_s=0.0)
    assert bucket.seconds_until_token(3_600.0) == 0.0
    bucket.take()
    assert bucket.seconds_until_token(3_600.0) > 0.0


def test_clock_that_goes_back_gives_no_tokens() -> None:
    bucket = TokenBucket(Rate(per_s=1.0, burst=1), now_s=100.0)
    bucket.take()
    assert bucket.seconds_until_token(50.0) == 1.0


def test_address_over_its_rate_is_busy_while_another_is_not() -> None:
    limiter = HandshakeLimiter(Rate(1.0, 1), Rate(100.0, 100), now_s=0.0)
    limiter.admit("10.0.0.1", 0.0)
    with pytest.raises(BusyError) as raised:
        limiter.admit("10.0.0.1", 0.0)
    assert raised.value.retry_after_s == 1
    limiter.admit("10.0.0.2", 0.0)


def test_overall_rate_bounds_all_addresses_together() -> None:
    limiter = HandshakeLimiter(Rate(100.0, 100), Rate(1.0, 2), now_s=0.0)
    limiter.admit("10.0.0.1", 0.0)
    limiter.admit("10.0.0.2", 0.0)
    with pytest.raises(BusyError):
        limiter.admit("10.0.0.3", 0.0)


def test_refused_handshake_costs_no_token() -> None:
    limiter = HandshakeLimiter(Rate(1.0, 1), Rate(1.0, 2), now_s=0.0)
    limiter.admit("10.0.0.1", 0.0)
    for _ in range(10):
        with pytest.raises(BusyError):
            limiter.admit("10.0.0.1", 0.0)
    limiter.admit("10.0.0.2", 0.0)


def test_addresses_remembered_are_bounded() -> None:
    limiter = HandshakeLimiter(Rate(1.0, 1), Rate(1e9, 10**9), now_s=0.0)
    for number in range(TRACKED_ADDRESSES_MAX + 100):
        limiter.admit(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(limiter._buckets) == TRACKED_ADDRESSES_MAX


@pytest.mark.parametrize(
    ("peer", "site"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_site_is_an_ipv4_address_or_an_ipv6_64(peer: str, site: str) -> None:
    assert site_of(peer) == site
