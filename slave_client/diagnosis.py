"""What may be wrong with a device, and what to do: the slave's part of ``vgroup doctor``. Changes nothing.

It asks the master for an M2, which proves whose key it has, and goes no further: a session of the doctor's would end
the running daemon's.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import SECRET_BYTES, PrivateKey
from group_protocol.errors import BusyError, RemoteProtocolError, UnknownMasterError, VirtualGroupError
from group_protocol.handshake import SlaveHandshake
from group_protocol.identifiers import Address
from group_protocol.messages import CookieChallenge, parse_keys_session_answer
from group_protocol.ports import Random
from slave_client.config import SlaveConfig
from slave_client.device_state import DeviceState, JoinStep
from slave_client.errors import MasterRefusalError, MasterUnreachableError
from slave_client.inspection import read_device_status
from slave_client.keystore import KeyStore
from slave_client.processor import preferred_aeads
from slave_client.state_directory import StateDirectory
from slave_client.succession import find_successor
from slave_client.transport import Transport
from system_ports.findings import (
    Finding,
    bad,
    compare_clocks,
    good,
    look_at_clock,
    look_at_disk,
    look_at_permissions,
    note,
)
from system_ports.randomness import SystemRandom

_TIMEOUT_S = 5.0
_FULL = 0.8
_ACK_OLD_S = 300.0


@dataclass(frozen=True, slots=True)
class MasterHint:
    """What whoever listens at the master's address says of itself, without proof."""

    master: str
    unix_s: float | None


async def diagnose_slave(config: SlaveConfig, random: Random | None = None) -> list[Finding]:
    """Look at everything. Raises nothing: what cannot be looked at is a finding."""
    findings = [look_at_clock()]
    try:
        device = await asyncio.to_thread(_load, config)
    except VirtualGroupError as exc:
        return [*findings, bad("device", str(exc), exc.remedy or "See: vgroup slave status")]
    if device is None:
        remedy = "On the master: vgroup device invite NAME. Here: vgroup slave join STRING."
        return [*findings, bad("device", f"not paired in {config.state_dir}", remedy)]
    findings += [look_at_disk(config.state_dir), look_at_permissions(config.state_dir), _look_at_processor()]
    findings += await _look_at_master(device, config, random or SystemRandom())
    findings += [_look_at_membership(device), *_look_at_daemon(config)]
    return findings


def _load(config: SlaveConfig) -> DeviceState | None:
    if not config.state_dir.exists():
        return None
    directory = StateDirectory(config.state_dir)
    directory.check()
    return KeyStore(directory).load_state()


def _look_at_processor() -> Finding:
    if preferred_aeads()[0] is Aead.A256GCM:
        return good("AES instructions", "there: AES-256-GCM")
    return good("AES instructions", "none: ChaCha20-Poly1305, which is as safe and here faster")


async def _look_at_master(device: DeviceState, config: SlaveConfig, random: Random) -> list[Finding]:
    pinned, place = f"0x{device.master.hex()}", f"{device.host}:{device.port}"
    try:
        proven = await _ask_for_proof(device, config, random)
    except MasterUnreachableError as exc:
        return [bad("master", str(exc), exc.remedy)]
    except BusyError as exc:
        return [note("master", f"{place} is busy", f"Ask again in {exc.retry_after_s} s.")]
    except (RemoteProtocolError, MasterRefusalError):
        hint = await _ask_who_it_is(device)
        who = f"this is master {hint.master}" if hint and hint.master else "whoever listens there is another one"
        return [
            bad("master", f"{place} answers, but {who}, not {pinned}",
                "Name the right address: vgroup slave join STRING (the device keeps its place). "
                "Or pair with this master anew, with a fresh --state-dir.")
        ]  # fmt: skip
    hint = await _ask_who_it_is(device)
    return [
        good("master", f"{place} has proved to be {pinned}")
        if proven == device.master
        else good("master", f"{place} has proved to be 0x{proven.hex()}, the next key of {pinned}"),
        compare_clocks(hint.unix_s if hint else None, time.time(), "the master"),
    ]


async def _ask_for_proof(device: DeviceState, config: SlaveConfig, random: Random) -> Address:
    """Whose M2 it is: the pinned master or the one after it. Raises UnknownMasterError: neither."""
    async with Transport(
        device.host, device.port, connect_timeout_s=_TIMEOUT_S, answer_timeout_s=_TIMEOUT_S
    ) as transport:
        try:
            await _ask_for_m2(transport, device, device.master, config, random)
        except UnknownMasterError:
            successor = await find_successor(transport, device)
            if successor is None:
                raise
            await _ask_for_m2(transport, device, successor, config, random)
            return successor
        return device.master


async def _ask_for_m2(
    transport: Transport, device: DeviceState, master: Address, config: SlaveConfig, random: Random
) -> None:
    handshake = SlaveHandshake(
        key=PrivateKey.from_secret(random.token_bytes(SECRET_BYTES)),  # never shown: the exchange ends before M3
        master=master,
        gid=device.gid,
        oid=None,
        suites=config.suites,
        aeads=preferred_aeads(),
        pairing_code=None,
        random=random,
    )
    answer = parse_keys_session_answer(await transport.post("/keysSession", handshake.start().to_body()))
    following = handshake.receive_keys_session(answer)
    if isinstance(answer, CookieChallenge):
        answer = parse_keys_session_answer(await transport.post("/keysSession", following.to_body()))
        handshake.receive_keys_session(answer)


async def _ask_who_it_is(device: DeviceState) -> MasterHint | None:
    host = f"[{device.host}]" if ":" in device.host else device.host
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as http,
            http.get(f"http://{host}:{device.port}/healthz", allow_redirects=False) as answer,
        ):
            shown = await answer.json()
            date = answer.headers.get("Date")
            master = shown.get("master") if isinstance(shown, dict) else None
            text = master if isinstance(master, str) and master.isascii() and len(master) == 42 else ""
            return MasterHint(text, parsedate_to_datetime(date).timestamp() if date else None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None


def _look_at_membership(device: DeviceState) -> Finding:
    if device.step is JoinStep.ASSOCIATED:
        return good("membership", "associated through the contract, as the master last said")
    if device.step is JoinStep.REVOKED:
        return bad("membership", "revoked, for good", "Pair it as a new device, with a fresh --state-dir.")
    return bad(
        "membership", f"the join is not finished: {device.step.value}", "Run vgroup slave run: it goes on by itself."
    )


def _look_at_daemon(config: SlaveConfig) -> Sequence[Finding]:
    fields = read_device_status(config.state_dir, None)
    findings = [_look_at_state(fields)]
    buffer: Any = fields.get("buffer")
    if isinstance(buffer, dict):
        share = buffer["stored_bytes"] / buffer["max_bytes"]
        text = f"{buffer['records']} records wait, {100 * share:.1f} % full, {buffer['dropped_records']} dropped so far"
        if buffer["damage"]:
            findings.append(bad("buffer", str(buffer["damage"]), "The damaged file is kept beside it."))
        elif share > _FULL:
            findings.append(bad("buffer", text, "Bring the master back, or raise buffer_max_mb."))
        else:
            findings.append(good("buffer", text))
    return findings


def _look_at_state(fields: dict[str, object]) -> Finding:
    if not fields["is_running"]:
        return note("daemon", "not running", "Start it: vgroup slave run, or systemctl start vgroup-slave.")
    error, ack = fields.get("last_error"), fields.get("last_ack")
    at_unix_s = ack.get("at_unix_s") if isinstance(ack, dict) else None
    is_fresh = isinstance(at_unix_s, int | float) and time.time() - at_unix_s < _ACK_OLD_S
    if fields["state"] == "streaming" and is_fresh:
        return good("daemon", "streaming; the master acknowledges")
    if isinstance(error, dict):
        return note("daemon", f"{fields['state']}: {error['message']}", str(error["remedy"]))
    return note("daemon", f"{fields['state']}, no acknowledgement for five minutes", "See: vgroup slave status")
