"""JSON from others, with its nesting bounded before the parser sees it.

Python's parser recurses in C. It is safe below the usual recursion limit of 1,000; py-evm, which the gateway brings
into the process, raises that to 100,000, and then some 50 KB of brackets end the process.
"""

import json
import re
from itertools import accumulate
from typing import Any, Final

DEPTH_MAX: Final = 32
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""One that nobody closes reaches to the end, so that looking for strings takes linear time."""
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def load_shallow_json(text: bytes) -> Any:  # noqa: ANN401 - foreign JSON
    """Parse.

    Raises:
        ValueError: It is no JSON in UTF-8, or nested deeper than 32.
    """
    if text.count(b"[") + text.count(b"{") > DEPTH_MAX:
        brackets = (_STEP.get(byte, 0) for byte in _STRING.sub(b"", text))
        if max(accumulate(brackets), default=0) > DEPTH_MAX:
            raise ValueError(f"nested deeper than {DEPTH_MAX}")
    return json.loads(text.decode("utf-8"))
