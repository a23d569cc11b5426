"""Which version of this program runs: told to the other side, which may be older or newer."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def software_version() -> str:
    """As in the package's metadata; empty where it is run from a folder that was never installed.

    Read once: each ticket tells it, and reading it again took a tenth of a master's time while a thousand joined.
    """
    try:
        return version("vgroup")
    except PackageNotFoundError:
        return ""
