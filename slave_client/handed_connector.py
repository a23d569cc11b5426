"""How aiohttp gets the connection on which the steps went: the stream is opened on the same one."""

import asyncio
from typing import Any

from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import BaseConnector

from slave_client.http_connection import HttpConnection


class HandedConnector(BaseConnector):
    """Takes connections from an :class:`HttpConnection` in place of making its own.

    ``_create_connection`` is where aiohttp's own connectors (TCP, Unix sockets, pipes) differ, and where others' do.
    """

    def __init__(self, connection: HttpConnection) -> None:
        super().__init__(force_close=True)
        self._connection = connection

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:  # noqa: ANN401, ARG002, ASYNC109
        protocol: ResponseHandler = self._factory()
        transport: asyncio.Transport = await self._connection.hand_over()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return protocol
