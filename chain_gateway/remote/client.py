"""Asks a gateway's service over HTTP: signs or bears a token, bounds what comes back, translates what goes wrong."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import aiohttp

from chain_gateway.remote.signing import SESSION_BYTES, sign_request
from chain_gateway.remote.wire import Json, decode_error, dump, parse_object
from group_protocol.crypto.keys import PrivateKey
from group_protocol.encoding import b64decode
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, DecodingError, RegistryUnavailable, VirtualGroupError

ANSWER_MAX_BYTES: Final = 8 * 1024 * 1024
"""More than 2,000 blocks' worth of logs of a busy contract; a longer answer is read no further."""
_CHECK: Final = "Check that `vgroup gateway run` runs there, that the URL is right, and that it lists this caller."

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """How this caller shows who it is: with its key, or with a token that the gateway's operator gave it."""

    key: PrivateKey | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


class GatewayClient:
    """One caller. Use it as an async context manager.

    Args:
        url: http(s) URL of the service, without a path.
        credentials: Key or token.
        request_timeout_s: For an ordinary request; acts get ``act_timeout_s``, since they wait for blocks.
        act_timeout_s: Longest wait for an act.
    """

    def __init__(self, url: str, credentials: Credentials, *, request_timeout_s: float, act_timeout_s: float) -> None:
        self._url = url.rstrip("/")
        self._credentials = credentials
        self._request_timeout_s = request_timeout_s
        self._act_timeout_s = act_timeout_s
        self._http: aiohttp.ClientSession | None = None
        self._session: bytes | None = None
        self._opening = asyncio.Lock()
        self._next_number = 0

    async def __aenter__(self) -> Self:
        # A crowd's associations wait side by side for one block: no bound on connections to the one host.
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def get(self, path: str, *, timeout_s: float | None = None) -> Json:
        """Ask for something; ``path`` with its query. Raises the port's errors."""
        return await self._ask("GET", path, b"", timeout_s or self._request_timeout_s)

    async def act(self, name: str, content: object) -> Json:
        """Have something done. Raises the port's errors."""
        return await self._ask("POST", f"/v1/acts/{name}", dump(content), self._act_timeout_s)

    async def _ask(self, method: str, path: str, body: bytes, timeout_s: float) -> Json:
        for attempt in range(2):
            session = self._session
            status, parsed = await self._send(method, path, body, timeout_s)
            if status == 200:
                return parsed
            # The service started again, or has forgotten the session: nothing was done.
            if status == 400 and self._credentials.key is not None and attempt == 0:
                if self._session == session:
                    self._session = None
                continue
            raise _error_of(status, parsed)
        raise AssertionError("unreachable")

    async def _send(self, method: str, path: str, body: bytes, timeout_s: float) -> tuple[int, Json]:
        headers = {"Content-Type": "application/json", **await self._prove(method, path, body)}
        return await self._exchange(method, path, body, headers, timeout_s)

    async def _prove(self, method: str, path: str, body: bytes) -> Mapping[str, str]:
        key, token = self._credentials.key, self._credentials.token
        if key is None:
            return {"Authorization": f"Bearer {token}"}
        async with self._opening:
            if self._session is None:
                self._session, self._next_number = await self._open_session(), 0
        number, self._next_number = self._next_number, self._next_number + 1
        return sign_request(key, self._session, number, method, path, body).to_headers()

    async def _open_session(self) -> bytes:
        headers = {"Content-Type": "application/json"}
        status, parsed = await self._exchange("POST", "/v1/session", b"{}", headers, self._request_timeout_s)
        try:
            session = b64decode(str(parsed.get("session")))
        except DecodingError as exc:
            raise _error_of(status, parsed) from exc
        if status != 200 or len(session) != SESSION_BYTES:
            raise _error_of(status, parsed)
        return session

    async def _exchange(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> tuple[int, Json]:
        if self._http is None:
            raise RegistryUnavailable("the registry is closed", code=ErrorCode.GATEWAY_UNREACHABLE)
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._http.request(
                    method, self._url + path, data=body or None, headers=dict(headers), allow_redirects=False
                ) as answer,
            ):
                return answer.status, parse_object(await read_bounded(answer))
        except TimeoutError as exc:
            raise RegistryUnavailable(
                "the gateway did not answer in time", remedy=_CHECK, code=ErrorCode.GATEWAY_UNREACHABLE
            ) from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            cause = type(exc).__name__
            raise RegistryUnavailable(
                f"the gateway cannot be reached: {cause}", remedy=_CHECK, code=ErrorCode.GATEWAY_UNREACHABLE
            ) from exc
        except DecodingError as exc:
            raise RegistryUnavailable(
                "the gateway's answer is not of this protocol", remedy=_CHECK, code=ErrorCode.GATEWAY_UNREACHABLE
            ) from exc


async def read_bounded(answer: aiohttp.ClientResponse) -> bytes:
    """The body, never more of it in memory than allowed. Raises DecodingError for a longer one."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(65_536):
        body += chunk
        if len(body) > ANSWER_MAX_BYTES:
            raise DecodingError("the answer is too long")
    return bytes(body)


def _error_of(status: int, parsed: Json) -> VirtualGroupError:
    if status in {409, 422, 502, 503}:
        try:
            return decode_error(parsed)
        except DecodingError:
            pass
    if status == 429:
        return RegistryUnavailable(
            "the gateway is busy", remedy="Try again; if that stays so, ask its operator.", code=ErrorCode.BUSY
        )
    return RegistryUnavailable(
        f"the gateway refused the request (status {status})", remedy=_CHECK, code=ErrorCode.GATEWAY_REFUSES
    )


def check_url(url: str) -> str:
    """An http or https URL without a path. Raises ConfigurationError."""
    if not url.startswith(("http://", "https://")) or url.count("/") > 2 + url.endswith("/"):
        raise ConfigurationError(
            "the gateway's URL is no http or https URL",
            remedy="For instance http://10.0.0.5:3080",
            code=ErrorCode.SETTING_WRONG,
        )
    return url
