"""The admin socket: a running master takes its operator's commands on a Unix socket that only its owner can open."""

import asyncio
import json
import logging
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, RegistryUnavailable, VirtualGroupError
from master_api.admin_protocol import error_from_json, error_to_json, run_operation
from master_api.descriptions import JsonObject
from master_api.operations import Operations
from system_ports.private_files import PRIVATE_FILE_MODE
from system_ports.unix_sockets import short_socket_path

ANSWER_TIMEOUT_S = 600.0
"""Verifying many records takes its time."""

_log = logging.getLogger("vgroup.master.admin")


@asynccontextmanager
async def admin_socket(path: Path, operations: Operations) -> AsyncIterator[None]:
    """Listen as long as the context lasts. The folder's lock is held, so a socket that is there is nobody's.

    Raises:
        ConfigurationError: It cannot be made.
    """
    application = web.Application()
    application.router.add_post("/operations/{name}", _Handler(operations).handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        with short_socket_path(path) as short_path:
            await _listen(runner, path, short_path)
            yield
    finally:
        await runner.cleanup()
        await asyncio.to_thread(path.unlink, missing_ok=True)


async def _listen(runner: web.AppRunner, path: Path, short_path: str) -> None:
    try:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        await web.UnixSite(runner, short_path).start()
        await asyncio.to_thread(path.chmod, PRIVATE_FILE_MODE)
    except OSError as exc:
        raise ConfigurationError(f"cannot listen on {path}: {exc.strerror}", code=ErrorCode.FILE_UNUSABLE) from exc


class _Handler:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def handle(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        try:
            result = await run_operation(self._operations, name, await request.json())
        except json.JSONDecodeError as exc:
            return _answer_error(ConfigurationError(f"arguments are no JSON: {exc}", code=ErrorCode.VERSIONS_DIFFER))
        except VirtualGroupError as exc:
            return _answer_error(exc)
        except Exception as exc:  # noqa: BLE001 - the operator hears of our mistake, and the master goes on
            _log.exception("operation failed", extra={"fields": {"operation": name}})
            return _answer_error(
                VirtualGroupError(
                    f"the master failed: {exc!r}", remedy="See the master's log.", code=ErrorCode.PROGRAM_MISTAKE
                )
            )
        return web.json_response({"result": result})


def _answer_error(error: VirtualGroupError) -> web.Response:
    return web.json_response({"error": error_to_json(error)}, status=409)


def is_served(path: Path) -> bool:
    """Whether there is a socket to ask. It may be a dead one: see :func:`ask_master`."""
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


async def ask_master(path: Path, name: str, arguments: Mapping[str, object]) -> JsonObject | None:
    """Have the running master do an operation; None if nobody listens.

    Raises:
        VirtualGroupError: What the operation raised there.
        RegistryUnavailable: The master went away in the middle.
    """
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    with short_socket_path(path) as short_path:
        connector = aiohttp.UnixConnector(short_path)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.post(f"http://master/operations/{name}", json=dict(arguments)) as response,
            ):
                answer = await response.json()
        except aiohttp.ClientConnectorError:
            return None
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise RegistryUnavailable(
                f"the master at {path} did not answer: {exc}", code=ErrorCode.SERVICE_SILENT
            ) from exc
    if "error" in answer:
        raise error_from_json(answer["error"])
    result: JsonObject = answer["result"]
    return result
