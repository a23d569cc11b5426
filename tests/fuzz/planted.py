"""A decoder with a fault behind three comparisons: a fuzzer that is not guided by coverage does not find it."""


def take_planted(raw: bytes) -> None:
    """Fails for one beginning in 16 million."""
    if len(raw) < 3:
        return
    if raw[0] == 0xC3:  # noqa: SIM102 - each comparison has to be a branch of its own
        if raw[1] == 0x5A:  # noqa: SIM102 - the same
            if raw[2] == 0x17:
                raise AssertionError("a fault was planted here")
