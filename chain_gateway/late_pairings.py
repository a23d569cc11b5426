"""BN and BLS pairings, loaded when one is computed: py_ecc fills its tables as soon as it is imported.

web3 and the EVM import it for keystores and precompiles that a group never meets. The tables were a sixth of the time
in which a master starts (0.35 s of 2.3 s, as ``python -X importtime`` counts), and more on a Raspberry Pi.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, Final

PAIRINGS: Final = (
    "py_ecc.bls12_381.bls12_381_pairing",
    "py_ecc.optimized_bls12_381.optimized_pairing",
    "py_ecc.optimized_bn128.optimized_pairing",
)
_FUNCTIONS: Final = ("pairing", "final_exponentiate")
"""All that anybody imports from these modules."""


def defer_pairings() -> None:
    """Put a stand-in at the place of each module that is not loaded yet. Call it before web3 or the EVM is imported."""
    for name in PAIRINGS:
        if name not in sys.modules:
            stand_in = ModuleType(name, "Loaded at the first call.")
            for function in _FUNCTIONS:
                setattr(stand_in, function, _late(stand_in, function))
            sys.modules[name] = stand_in


def _late(stand_in: ModuleType, function: str) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the function itself takes
        name = stand_in.__name__
        if sys.modules.get(name) is stand_in:
            sys.modules.pop(name, None)
        return getattr(import_module(name), function)(*arguments, **options)

    return call
