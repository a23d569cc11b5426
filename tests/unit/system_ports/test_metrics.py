import pytest

from group_protocol.errors import ConfigurationError
from system_ports.metrics import parse_listen


@pytest.mark.parametrize(
    ("listen", "parsed"),
    [("127.0.0.1:9465", ("127.0.0.1", 9465)), ("[::1]:9465", ("::1", 9465)), ("localhost:0", ("localhost", 0))],
)
def test_address_is_taken_apart(listen: str, parsed: tuple[str, int]) -> None:
    assert parse_listen(listen) == parsed


@pytest.mark.parametrize("listen", ["9465", ":9465", "localhost", "localhost:", "localhost:x", "localhost:70000"])
def test_address_that_is_none_is_refused(listen: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        parse_listen(listen)
