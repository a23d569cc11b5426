from slave_client.backoff import Backoff
from tests.support.seeded import SeededRandom


class FixedRandom:
    def __init__(self, byte: int) -> None:
        self._byte = byte

    def token_bytes(self, length_bytes: int) -> bytes:
        return bytes([self._byte]) * length_bytes


def test_bound_doubles_up_to_the_longest_wait() -> None:
    backoff = Backoff(FixedRandom(0xFF), first_s=1.0, longest_s=10.0)
    assert [round(backoff.next_wait_s(), 6) for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_shortest_draw_waits_a_quarter_of_the_bound() -> None:
    backoff = Backoff(FixedRandom(0), first_s=2.0)
    assert backoff.next_wait_s() == 0.5


def test_waits_of_different_devices_differ() -> None:
    waits = {Backoff(SeededRandom(seed)).next_wait_s() for seed in range(50)}
    assert len(waits) == 50


def test_success_begins_again_with_the_shortest_wait() -> None:
    backoff = Backoff(FixedRandom(0xFF), first_s=1.0)
    backoff.next_wait_s()
    backoff.next_wait_s()
    assert backoff.failures == 2
    backoff.succeeded()
    assert round(backoff.next_wait_s(), 6) == 1.0


def test_busy_master_is_given_the_time_that_it_asks_for() -> None:
    assert Backoff(FixedRandom(0), first_s=1.0).next_wait_s(at_least_s=7.0) == 7.0


def test_thousands_of_failures_do_not_overflow() -> None:
    backoff = Backoff(FixedRandom(0xFF), longest_s=60.0)
    assert max(backoff.next_wait_s() for _ in range(5_000)) <= 60.0
