"""Say whether this interpreter can run the project; exits 0, or 1 after telling what to do.

Nothing here is newer than Python 3.6: an interpreter that is too old has to get as far as the message.
"""

import sys

OLDEST = (3, 11)
NEWEST = (3, 13)  # coincurve 21 has no wheel for a newer one, and the locks install wheels alone


def complaint() -> str:
    """Return what is wrong with this interpreter and how to put it right, or an empty string."""
    found = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return (
            f"Python 3.11, 3.12 or 3.13 is needed; {sys.executable} is {found}.\n"
            "Install one of them, or name it: make PYTHON=/path/to/python3.12 demo"
        )
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian splits it off, so that venv imports and then fails
        import venv  # noqa: F401, PLC0415 - same
    except ImportError:
        return (
            f"{sys.executable} has no venv module, so it cannot make an environment.\n"
            f"On Debian or Ubuntu: apt-get install python{found}-venv"
        )
    return ""


if __name__ == "__main__":
    problem = complaint()
    if problem:
        sys.stderr.write(problem + "\n")
        sys.exit(1)
