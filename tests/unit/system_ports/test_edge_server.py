from system_ports.edge_server import ConnectionBounds, busy, refusal


def test_connections_are_bounded_per_address_and_over_all() -> None:
    bounds = ConnectionBounds(3, 2)
    assert [bounds.admit("a"), bounds.admit("a"), bounds.admit("a")] == [True, True, False]
    assert bounds.admit("b")
    assert not bounds.admit("c")
    bounds.release("a")
    assert bounds.admit("c")


def test_released_address_is_forgotten() -> None:
    bounds = ConnectionBounds(3, 2)
    bounds.admit("a")
    bounds.release("a")
    assert not bounds._per_site


async def test_answers_are_never_cached_and_say_nothing_of_the_server() -> None:
    for answer in (refusal(), busy(7)):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server"] == "vgroup"
    assert busy(7).headers["Retry-After"] == "7"
