"""The paper's flow (``measure/paper_baseline``) as something to measure beside ours, in the same run."""

import asyncio
import os

import coincurve

from measure.paper_baseline.ciphers import SessionKey, generate_rsa_key
from measure.paper_baseline.clear_texts import Ticket
from measure.paper_baseline.master import MasterKeys, PaperMaster
from measure.paper_baseline.register import InMemoryRegister
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

_READING = b"t=000000 hr=072;t=000001 hr=073;t=000002 hr=074;"


class PaperBench:
    """A master and a device that has its session and ticket. RSA keys are made once, as the paper's times demand."""

    def __init__(self) -> None:
        keys = MasterKeys.generate(os.urandom)
        self._master = PaperMaster(keys, InMemoryRegister(), os.urandom)
        self._object_ids = {keys.object_id}
        self._rsa_key = generate_rsa_key(os.urandom)
        asyncio.run(self._master.create_group())
        self._device = self.new_device()
        self._session, self._ticket = asyncio.run(self._open(self._device))

    @property
    def master(self) -> PaperMaster:
        """The master, to serve."""
        return self._master

    def new_device(self) -> Device:
        """A device with a fresh key pair on the curve; its object id, two bytes, is one that no device here has had."""
        while True:
            device = Device(coincurve.PrivateKey(os.urandom(32)), self._rsa_key)
            if device.object_id not in self._object_ids:
                self._object_ids.add(device.object_id)
                return device

    def prepare_association(self) -> bytes:
        """Table 2's "Assoc Time"."""
        return prepare_association_request(self._device, self._session, self._ticket)

    def prepare_data(self) -> bytes:
        """Table 2's "Data time"."""
        return prepare_data_message(self._device, self._session, self._ticket, _READING)

    def prepare_signed_data(self) -> bytes:
        """The same as section 4.2 describes the message."""
        return prepare_data_message(self._device, self._session, self._ticket, _READING, DataForm.SECTION_4_2)

    async def join_in_memory(self, device: Device) -> None:
        """All three steps, both sides, no socket."""
        session, ticket = await self._open(device)
        await self._master.answer_association(prepare_association_request(device, session, ticket))

    async def _open(self, device: Device) -> tuple[SessionKey, Ticket]:
        session = accept_key_session(device, await self._master.answer_key_session(prepare_key_session_request(device)))
        return session, accept_ticket(session, await self._master.answer_ticket(prepare_ticket_request(device)))
