"""Pairings that are loaded late: each case in an interpreter of its own, since it is about which modules are loaded."""

import subprocess
import sys

import pytest

from chain_gateway.late_pairings import PAIRINGS

IS_LOADED = "def is_loaded(name):\n    return getattr(sys.modules.get(name), '__file__', None) is not None\n"


def run(script: str) -> str:
    words = [sys.executable, "-c", "import sys\n" + IS_LOADED + script]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_embedded_chain_and_web3_load_no_pairing() -> None:
    script = "import chain_gateway.composition, chain_gateway.embedded\n"
    assert run(script + f"print([name for name in {PAIRINGS!r} if is_loaded(name)])") == "[]"


@pytest.mark.parametrize("name", PAIRINGS)
def test_deferred_pairing_is_the_librarys_own_from_the_first_call_on(name: str) -> None:
    parent = name.rpartition(".")[0]
    script = f"""
from {parent} import FQ12, final_exponentiate
print(final_exponentiate(FQ12([-1] + [0] * 11)), is_loaded({name!r}))
"""
    said = run("import chain_gateway\n" + script)
    assert said.endswith("True")
    assert said == run(script)


def test_pairing_precompile_of_the_embedded_chain_answers_as_eip_197_says() -> None:
    """e(P, Q) · e(-P, Q) = 1, and e(P, Q) alone is not."""
    script = """
import chain_gateway
from eth.vm.forks.byzantium.computation import BYZANTIUM_PRECOMPILES
from py_ecc import optimized_bn128 as curve
from eth.precompiles.ecpairing import _ecpairing
def encode(p, q):
    (px, py), (qx, qy) = curve.normalize(p), curve.normalize(q)
    (x0, x1), (y0, y1) = qx.coeffs, qy.coeffs
    return b"".join(int(number).to_bytes(32, "big") for number in (px, py, x1, x0, y1, y0))
pair = encode(curve.G1, curve.G2)
print(_ecpairing(pair + encode(curve.neg(curve.G1), curve.G2)), _ecpairing(pair))
"""
    assert run(script) == "True False"
