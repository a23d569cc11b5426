"""What the local network says: masters that are advertised by mDNS, told one by one as they are heard."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from group_protocol.errors import DecodingError
from group_protocol.identifiers import Address, parse_address
from group_protocol.shallow_json import load_shallow_json
from slave_client.finding.places import Place, is_usable_hint, on_every_link

SEARCH_S: Final = 4.0
"""mDNS asks at once, after one second and after three (RFC 6762 §5.2): a lost packet or two cost no search."""
_STARTING_S: Final = 15.0
"""For a slow machine to start the process and to end it."""
_LINE_MAX_BYTES: Final = 4_096
_LINES_MAX: Final = 512
_KEPT_VARIABLES: Final = ("PATH", "PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "LD_LIBRARY_PATH")
"""The process gets these and no other: no passphrase, no place of a credential."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A master that somebody advertises. Nothing of it is proved.

    Attributes:
        name: Of the service instance; a stranger chose it.
    """

    name: str
    master: Address
    places: tuple[Place, ...]


async def listen_for_masters(search_s: float = SEARCH_S) -> AsyncGenerator[Sighting, None]:
    """Listen for so many seconds, in a process of its own. Close it early with ``aclose``.

    Where the process cannot run, there is nothing to see.
    """
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "slave_client.finding.search_process", str(search_s)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE_MAX_BYTES,
            env=environment,
        )
    except OSError:
        return
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    ends_s = asyncio.get_running_loop().time() + search_s + _STARTING_S
    try:
        for _ in range(_LINES_MAX):
            async with asyncio.timeout_at(ends_s):
                line = await process.stdout.readline()
            if not line:
                return
            with contextlib.suppress(DecodingError):
                yield parse_sighting(line)
    except (TimeoutError, ValueError):
        return
    finally:
        await _end(process, process.stdout)


async def _end(process: asyncio.subprocess.Process, said: asyncio.StreamReader) -> None:
    """Have it gone.

    One whose output has ended ends by itself. To kill it just then can take its status away from asyncio, which
    complains on stderr: Popen polls before it sends a signal.
    """
    if said.at_eof():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STARTING_S):
                await process.wait()
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def parse_sighting(line: bytes) -> Sighting:
    """Take a line of the process. Raises DecodingError."""
    try:
        fields = load_shallow_json(line)
        name, hosts, port = str(fields["name"]), list(fields["hosts"]), int(fields["port"])
        master = parse_address(bytes.fromhex(fields["master"]))
    except (ValueError, KeyError, TypeError, OverflowError) as exc:
        raise DecodingError("this line tells of no master") from exc
    if not 0 < port < 2**16:
        raise DecodingError("a port is out of range")
    usable = [str(host) for host in hosts if is_usable_hint(str(host))]
    places = [place for host in usable for place in on_every_link(Place(host, port))]
    return Sighting("".join(filter(str.isprintable, name)), master, tuple(dict.fromkeys(places)))
