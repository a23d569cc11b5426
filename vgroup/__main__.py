"""``vgroup`` and ``python -m vgroup``."""

import sys
import traceback

from group_protocol.exit_codes import ExitCode
from system_ports.garbage import calm_collector
from vgroup.application import run


def main() -> None:
    """Run the command line and exit with its status (:mod:`group_protocol.exit_codes`)."""
    calm_collector()
    try:
        status = int(run(sys.argv[1:]))
    except Exception:  # noqa: BLE001 - the outermost border: what arrives here is a mistake of ours
        traceback.print_exc()
        sys.stderr.write("vgroup: this is a mistake of the program, not yours. Please report the lines above.\n")
        status = int(ExitCode.INTERNAL)
    sys.exit(status)


if __name__ == "__main__":
    main()
