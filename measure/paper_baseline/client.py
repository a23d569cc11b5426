"""The slave's HTTP shell: one TCP connection per request, as in the captures. It connects to loopback or not at all."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp

from measure.paper_baseline.ciphers import SessionKey
from measure.paper_baseline.clear_texts import Ticket
from measure.paper_baseline.errors import MasterRefused
from measure.paper_baseline.http_form import (
    ASSOCIATION_PATH,
    DATA_PATH,
    KEY_SESSION_PATH,
    REQUEST_HEADERS,
    TICKET_PATH,
)
from measure.paper_baseline.loopback import require_loopback, url_host
from measure.paper_baseline.messages import TRUE
from measure.paper_baseline.slave import (
    DataForm,
    Device,
    accept_key_session,
    accept_ticket,
    prepare_association_request,
    prepare_data_message,
    prepare_key_session_request,
    prepare_ticket_request,
)


@dataclass(frozen=True, slots=True)
class Membership:
    """What a slave holds once it has joined."""

    session: SessionKey
    ticket: Ticket


class PaperClient:
    """Speaks to one master on loopback.

    Args:
        host: an address in 127.0.0.0/8, or ::1.
        port: the master's.

    Raises:
        NotLoopbackError: `host` is anything else.
    """

    def __init__(self, host: str, port: int) -> None:
        require_loopback(host)
        self._base_url = f"http://{url_host(host)}:{port}"
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            headers=REQUEST_HEADERS,
            skip_auto_headers=("Accept-Encoding",),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self._http.close()

    async def exchange(self, path: str, body: bytes) -> bytes:
        """Send any body and return the answer's, on a connection of its own. Redirects are not followed.

        Raises:
            MasterRefused: the status is not 200.
            aiohttp.ClientError: the master cannot be reached.
        """
        async with self._http.get(self._base_url + path, data=body, allow_redirects=False) as response:
            answer = await response.read()
        if response.status != 200:
            raise MasterRefused(path, response.status)
        return answer

    async def share_session_key(self, device: Device) -> SessionKey:
        """Figures 9 and 10.

        Raises:
            MasterRefused: the master took it not.
            MalformedMessage: its answer is something else.
        """
        return accept_key_session(device, await self.exchange(KEY_SESSION_PATH, prepare_key_session_request(device)))

    async def fetch_ticket(self, device: Device, session: SessionKey) -> Ticket:
        """Figures 11 and 12.

        Raises:
            MasterRefused: the master took it not.
            MalformedMessage: its answer is something else.
        """
        return accept_ticket(session, await self.exchange(TICKET_PATH, prepare_ticket_request(device)))

    async def associate(self, device: Device, session: SessionKey, ticket: Ticket) -> None:
        """Figure 13.

        Raises:
            MasterRefused: the register, or the master, refuses.
        """
        await self._expect_true(ASSOCIATION_PATH, prepare_association_request(device, session, ticket))

    async def join(self, device: Device) -> Membership:
        """The three steps, on three connections.

        Raises:
            MasterRefused: the master refused one of them.
            MalformedMessage: an answer is something else.
        """
        session = await self.share_session_key(device)
        ticket = await self.fetch_ticket(device, session)
        await self.associate(device, session, ticket)
        return Membership(session, ticket)

    async def send_reading(
        self, device: Device, membership: Membership, reading: bytes, form: DataForm = DataForm.SECTION_5_2
    ) -> None:
        """Section 5.2, end.

        Raises:
            MasterRefused: the master does not take it.
        """
        body = prepare_data_message(device, membership.session, membership.ticket, reading, form)
        await self._expect_true(DATA_PATH, body)

    async def _expect_true(self, path: str, body: bytes) -> None:
        if await self.exchange(path, body) != TRUE:
            raise MasterRefused(path, 200)
