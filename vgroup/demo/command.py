"""``vgroup demo``."""


def demo() -> None:
    """x."""
