"""``vgroup slave send`` and ``vgroup slave inbox``: what a person or a script says to other slaves, and hears."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, DecodingError, LocalProtocolError, RemoteProtocolError
from group_protocol.identifiers import ObjectId, parse_object_id
from group_protocol.limits import PAYLOAD_MAX_BYTES
from group_protocol.senml import Reading, encode_readings
from slave_client.config import SlaveConfig
from slave_client.control_socket import Sent, Wish
from slave_client.inbox_file import INBOX_FILE, InboxFile
from slave_client.key_sealing import find_sealer
from slave_client.keystore import KeyStore
from slave_client.outbox import TO_MASTER
from slave_client.received_message import ReceivedMessage
from slave_client.state_directory import StateDirectory
from system_ports.randomness import SystemRandom

TO_MASTER_NAME: Final = "master"
_POLL_S: Final = 0.2


def find_receiver(config: SlaveConfig, wanted: str) -> ObjectId:
    """An oid in hex, a name of the contacts, or ``master``. Raises ConfigurationError."""
    contacts = dict(config.contacts)
    if wanted in contacts:
        return contacts[wanted]
    if wanted == TO_MASTER_NAME:
        return TO_MASTER
    try:
        return parse_object_id(bytes.fromhex(wanted.removeprefix("0x")))
    except (ValueError, DecodingError) as exc:
        raise ConfigurationError(
            f"{wanted!r} is neither an oid (32 hex digits) nor a contact",
            remedy="Add it to [contacts] in slave.toml; `vgroup device list` on the master shows the oids.",
            code=ErrorCode.NO_SUCH_DEVICE,
        ) from exc


def make_wish(
    config: SlaveConfig,
    to: str,
    *,
    text: str | None,
    value: float | None,
    name: str | None,
    unit: str | None,
    wait_s: float,
) -> Wish:
    """A message of one reading: a text, or a number. Raises ConfigurationError."""
    if (text is None) is (value is None):
        raise ConfigurationError(
            "a message is either a text or a --value", remedy="Give one of the two.", code=ErrorCode.ARGUMENT_WRONG
        )
    said: str | float = text if text is not None else float(value or 0.0)
    reading = Reading(name or ("message" if text is not None else "value"), time.time(), said, unit)
    try:
        payload = encode_readings([reading])
    except LocalProtocolError as exc:
        raise ConfigurationError(
            f"this cannot be sent: {exc}", remedy="Shorten it, or mend --name.", code=ErrorCode.MESSAGE_TOO_LARGE
        ) from exc
    if len(payload) > PAYLOAD_MAX_BYTES:
        raise ConfigurationError(
            f"the message has {len(payload)} bytes", remedy="Shorten it.", code=ErrorCode.MESSAGE_TOO_LARGE
        )
    return Wish(find_receiver(config, to), payload, 1, wait_s)


def say_sent(sent: Sent, *, is_running: bool) -> str:
    """What became of it, for people."""
    if sent.is_acknowledged:
        return f"The master has it, as record {sent.seq}; the receiver gets it as soon as it streams."
    when = "sends it as soon as the master can be reached" if is_running else "sends it when it runs"
    return f"Kept as record {sent.seq}; the slave {when}."


def read_inbox(state_dir: Path, *, after: int, follow: bool, show: Callable[[ReceivedMessage], None]) -> None:
    """Show the messages above a number; with ``follow`` go on as they come. Whether or not the daemon runs.

    Raises:
        ConfigurationError: The device was never paired.
        StoreError: The inbox cannot be read.
    """
    directory = StateDirectory(state_dir)
    directory.check()
    keys = KeyStore(directory, find_sealer(SystemRandom())).load_keys()
    if keys is None:
        raise ConfigurationError(
            "this device has not been paired", remedy="Run vgroup slave join STRING.", code=ErrorCode.NOT_PAIRED
        )
    path = state_dir / INBOX_FILE
    while not path.exists():
        if not follow:
            return
        time.sleep(_POLL_S)
    file = InboxFile(path, keys.storage_secret, None)
    try:
        while True:
            messages = file.read_after(after, 256)
            for message in messages:
                show(message)
                after = message.number
            if not messages:
                if not follow:
                    return
                time.sleep(_POLL_S)
    finally:
        file.close()


def message_json(message: ReceivedMessage) -> str:
    """One line of JSON."""
    return json.dumps(message.to_fields())


def message_lines(message: ReceivedMessage, names: dict[ObjectId, str]) -> list[str]:
    """The message for people. What a sender wrote cannot steer the terminal."""
    at = datetime.fromtimestamp(message.received_unix_s).astimezone().isoformat(" ", "seconds")
    head = (
        f"{message.number:>5}  {at}  from {names.get(message.sender, message.sender.hex())}, its record {message.seq}"
    )
    try:
        readings = message.readings()
    except RemoteProtocolError:
        return [head, "       (no SenML)"]
    return [head, *(f"       {reading.name}: {_printable(reading)}" for reading in readings)]


def _printable(reading: Reading) -> str:
    value = reading.value.hex() if isinstance(reading.value, bytes) else str(reading.value)
    clean = "".join(character if character.isprintable() else "�" for character in value)
    return f"{clean} {reading.unit}" if reading.unit else clean


def send_now(config: SlaveConfig, wish: Wish) -> Sent:
    """Send it. Raises VirtualGroupError of every kind."""
    from slave_client.composition import send  # noqa: PLC0415 - aiohttp is loaded by the commands that need it

    return asyncio.run(send(config, wish))
