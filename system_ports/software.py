"""Which version of this program runs: told to the other side, which may be older or newer."""

from importlib.metadata import PackageNotFoundError, version


def software_version() -> str:
    """As in the package's metadata; empty where it is run from a folder that was never installed."""
    try:
        return version("vgroup")
    except PackageNotFoundError:
        return ""
