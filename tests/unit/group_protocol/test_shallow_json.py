import subprocess
import sys

import pytest

from group_protocol.shallow_json import DEPTH_MAX, load_shallow_json


def test_nesting_up_to_the_bound_is_read() -> None:
    assert load_shallow_json(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX) is not None
    assert load_shallow_json(b"[" * (DEPTH_MAX - 1) + b"[],[]" + b"]" * (DEPTH_MAX - 1)) is not None
    assert load_shallow_json(b'{"a":[' + b",".join([b"[]"] * 500) + b"]}") == {"a": [[]] * 500}


@pytest.mark.parametrize(
    "text", [b"[" * (DEPTH_MAX + 1), b'{"a":' * 5_000, b'["]]]]",' * 1_000, b'["\\"]]",' * 1_000, b"[" * 250_000]
)
def test_deeper_text_is_refused_whatever_its_strings_hold(text: bytes) -> None:
    with pytest.raises(ValueError, match="nested deeper"):
        load_shallow_json(text)


@pytest.mark.parametrize("text", [b"\xff", b"{", b'["' + b'\\"[' * 80_000])
def test_text_that_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"codec|Expecting|Unterminated"):
        load_shallow_json(text)


def test_brackets_inside_strings_do_not_count() -> None:
    assert load_shallow_json(b'{"info":"' + b"[" * 100 + b'"}') == {"info": "[" * 100}
    assert load_shallow_json(b'"' + b"[" * 100 + b'"') == "[" * 100


def test_process_with_the_recursion_limit_of_py_evm_survives() -> None:
    code = (
        "import sys; sys.setrecursionlimit(100_000)\n"
        "from measure.paper_baseline.errors import MalformedMessage\n"
        "from measure.paper_baseline.json_form import decode_json\n"
        "try: decode_json(b'[' * 250_000)\n"
        "except MalformedMessage: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout == "refused\n", done
