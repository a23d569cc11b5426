"""Fail if a test was skipped for any reason but the one that is allowed: `python tools/check_skips.py junit.xml`.

A tool that should be there and is missing must fail its test. The reference vectors are the exception: they are a large
collection of their own that not every checkout carries.
"""

import ast
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ALLOWED_REASON = "needs the reference vectors"


def reason_of(skip: ET.Element) -> str:
    """Return why a test was skipped; of a file that was skipped as a whole, pytest puts it into the text's tuple."""
    message = skip.get("message", "")
    if message == "collection skipped":
        message = str(ast.literal_eval(skip.text or "('', 0, '')")[2])
    return message.removeprefix("Skipped: ")


def forbidden_skips(report: Path) -> list[str]:
    """Return "test: reason" for every skip in a JUnit report whose reason does not begin with the allowed one."""
    # The report was written by our own pytest a moment ago: no hostile XML.
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314
    return [
        f"{case.get('classname')}.{case.get('name')}: {reason}"
        for case in cases
        for skip in case.iter("skipped")
        if skip.get("type") != "pytest.xfail"
        if not (reason := reason_of(skip)).startswith(ALLOWED_REASON)
    ]


def main() -> int:
    """Print the skips that should have been failures; 0 if there are none, 1 else."""
    skips = forbidden_skips(Path(sys.argv[1]))
    for skip in skips:
        print(f"skipped, but should run: {skip}")
    return 1 if skips else 0


if __name__ == "__main__":
    sys.exit(main())
