"""Finding geth, and making sure that it is one that seals Clique."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from chain_gateway.network.errors import GethMissing

GETH_VERSION: Final = "1.13.15"
"""The last that seals Clique; 1.14 can only follow such a chain."""

GETH_VARIABLE: Final = "VGROUP_GETH"
_PROJECT_GETH: Final = Path(__file__).resolve().parents[2] / ".cache" / "go" / "bin" / "geth"
"""Where ``make geth`` puts it, in a checkout."""

_ANSWER_TIMEOUT_S: Final = 20.0
_REMEDY: Final = (
    f"Run `make geth` in a checkout, or `go install github.com/ethereum/go-ethereum/cmd/geth@v{GETH_VERSION}`, "
    f"and name it: --geth PATH, or ${GETH_VARIABLE}."
)


def find_geth(named: Path | None = None) -> Path:
    """The geth to run, as an absolute path: the one named, else $VGROUP_GETH, ``make geth``'s, or the one on PATH.

    Raises:
        GethMissing: There is none, or it has another version than :data:`GETH_VERSION`.
    """
    from_environment = os.environ.get(GETH_VARIABLE)
    if named is None and from_environment:
        named = Path(from_environment)
    if named is not None:
        return _checked(named.expanduser().absolute())
    on_path = shutil.which("geth")
    candidates = [path for path in (_PROJECT_GETH, Path(on_path) if on_path else None) if path and path.exists()]
    if not candidates:
        raise GethMissing(f"geth {GETH_VERSION} is not installed", remedy=_REMEDY)
    return _checked(candidates[0].absolute())


def _checked(geth: Path) -> Path:
    found = read_version(geth)
    if found != GETH_VERSION:
        raise GethMissing(
            f"{geth} is geth {found}; only {GETH_VERSION} will do (later ones do not seal Clique)", remedy=_REMEDY
        )
    return geth


def read_version(geth: Path) -> str:
    """The version that a geth says it has, such as ``1.13.15``.

    Raises:
        GethMissing: It cannot be run, or is no geth.
    """
    try:
        answer = subprocess.run(  # noqa: S603 - the operator names the program
            [geth, "version"], capture_output=True, text=True, check=True, timeout=_ANSWER_TIMEOUT_S
        ).stdout
    except (OSError, subprocess.SubprocessError) as exc:
        raise GethMissing(f"{geth} cannot be run: {exc}", remedy=_REMEDY) from exc
    found = re.search(r"^Version: (\d+\.\d+\.\d+)", answer, re.MULTILINE)
    if found is None:
        raise GethMissing(f"{geth} does not answer as geth does", remedy=_REMEDY)
    return found[1]
