"""Runs a program that dies with the process that started it: ``python -m vgroup.demo.tethered PARENT PROGRAM ARGS…``.

The demo stops what it started. This is for the case that it cannot, because it was killed itself.
"""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2): send the calling process this signal when its parent ends. It outlives exec."""


def main() -> None:
    """Tie this process to its parent and become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the demo has ended")
    os.execv(program[0], program)  # noqa: S606 - no shell: the demo names the program


if __name__ == "__main__":
    main()
