"""Build geth 1.13.15, the last that seals Clique, into .cache/go/bin: `make geth`.

From source, by `go install`: the module's content hash is pinned here, and it holds those of all that it needs.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "1.13.15"
MODULE = "github.com/ethereum/go-ethereum"
MODULE_HASH = "h1:U7sSGYGo4SPjP6iNIifNoyIAiNjrmQkz6EwQG+/EZWo="
OLDEST_GO = (1, 20)
CHECKS_LINKNAMES_SINCE = (1, 23)
"""From this Go on the linker refuses what one of geth's dependencies does, unless it is told not to look."""

BIN = Path(__file__).resolve().parents[1] / ".cache" / "go" / "bin"
MISSING_GO = (
    "geth is built from source, which takes Go 1.20 or newer and three minutes, and there is no `go` on the PATH.\n"
    "Install it (Debian 13: apt-get install golang-go; else from go.dev), or, if you have geth "
    f"{VERSION} already, name it: VGROUP_GETH=/path/to/geth make test-network"
)


def main() -> int:
    """Build it if it is not there; say what is in the way if it cannot be built."""
    geth = BIN / "geth"
    try:
        if not is_wanted(geth):
            build(find_go())
            check(geth)
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


class BuildError(Exception):
    """Why there is no geth, and what to do about it."""


def find_go() -> str:
    """A Go toolchain that is new enough."""
    go = shutil.which("go")
    if go is None:
        raise BuildError(MISSING_GO)
    if go_release(go) < OLDEST_GO:
        raise BuildError(f"{go} is Go {'.'.join(map(str, go_release(go)))}; 1.20 or newer is needed")
    return go


def build(go: str) -> None:
    """Fetch the sources and compile them."""
    sys.stdout.write(f"==> building geth {VERSION} from source (three minutes on two cores)\n")
    sys.stdout.flush()
    flags = "-s -w -checklinkname=0" if go_release(go) >= CHECKS_LINKNAMES_SINCE else "-s -w"
    # Two compilers at a time: each may take 500 MB.
    environment = os.environ | {"GOBIN": str(BIN), "GOFLAGS": "-p=2 -buildvcs=false", "GOTOOLCHAIN": "local"}
    command = [go, "install", f"-ldflags={flags}", f"{MODULE}/cmd/geth@v{VERSION}"]
    ended = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if ended.returncode:
        raise BuildError(f"{ended.stdout[-4000:]}\ngo install failed; its last lines are above")


def check(geth: Path) -> None:
    """Whether what was built is what we wanted, of the source that we know; else it is removed."""
    found = subprocess.run(["go", "version", "-m", geth], capture_output=True, text=True, check=False).stdout
    is_known = re.search(rf"\bmod\t{MODULE}\tv{re.escape(VERSION)}\t{re.escape(MODULE_HASH)}", found)
    if not (is_wanted(geth) and is_known):
        geth.unlink(missing_ok=True)
        raise BuildError(f"what was built is not geth {VERSION} of the known source; it was removed")


def is_wanted(geth: Path) -> bool:
    """Whether this geth is there and has the version."""
    if not geth.exists():
        return False
    answer = subprocess.run([geth, "version"], capture_output=True, text=True, check=False).stdout
    return re.search(rf"^Version: {re.escape(VERSION)}\b", answer, re.MULTILINE) is not None


def go_release(go: str) -> tuple[int, int]:
    """Major and minor of a Go toolchain."""
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"go(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else (0, 0)


if __name__ == "__main__":
    sys.exit(main())
