"""What may be wrong with a device, and what to do: the slave's part of ``vgroup doctor``. Changes nothing.

It asks the master for an M2, which proves whose key it has, and goes no further: a session of the doctor's would end
the running daemon's.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from group_protocol.crypto.aead import Aead
from group_protocol.error_codes import ErrorCode, find_code
from group_protocol.errors import VirtualGroupError
from group_protocol.ports import Random
from slave_client.config import SlaveConfig
from slave_client.device_state import DeviceState
from slave_client.finding.diagnosis import look_at_master
from slave_client.inspection import read_device_status
from slave_client.keystore import KeyStore
from slave_client.processor import preferred_aeads
from slave_client.standings import STANDING_CODES, STANDING_REMEDIES, DeviceStanding, stand
from slave_client.state_directory import StateDirectory
from system_ports.findings import (
    Finding,
    bad,
    good,
    look_at_clock,
    look_at_disk,
    look_at_permissions,
    note,
)
from system_ports.randomness import SystemRandom
from system_ports.software import software_version

_FULL = 0.8
_ACK_OLD_S = 300.0


async def diagnose_slave(config: SlaveConfig, random: Random | None = None) -> list[Finding]:
    """Look at everything. Raises nothing: what cannot be looked at is a finding."""
    findings = [look_at_clock()]
    try:
        device = await asyncio.to_thread(_load, config)
    except VirtualGroupError as exc:
        return [*findings, bad("device", str(exc), exc.remedy or "See: vgroup slave status", exc.code)]
    if device is None:
        remedy = "On the master: vgroup device invite NAME. Here: vgroup slave join STRING."
        return [*findings, bad("device", f"not paired in {config.state_dir}", remedy, ErrorCode.NOT_PAIRED)]
    findings += [look_at_disk(config.state_dir), look_at_permissions(config.state_dir), _look_at_processor()]
    findings += await look_at_master(device, config, random or SystemRandom())
    findings += [_look_at_versions(device), _look_at_membership(device), *_look_at_daemon(config)]
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


def _look_at_membership(device: DeviceState) -> Finding:
    standing = stand(device)
    if standing is DeviceStanding.MEMBER:
        return good("membership", "associated through the contract, as the master last said")
    text = f"the join is not finished: {device.step}" if standing is DeviceStanding.JOINING else standing.value
    return bad("membership", text, STANDING_REMEDIES[standing] or "", STANDING_CODES[standing])


def _look_at_versions(device: DeviceState) -> Finding:
    own, masters = software_version() or "unknown", device.master_software or "not known yet"
    return good("version", f"{own}; the master's, as it last said: {masters}")


def _look_at_daemon(config: SlaveConfig) -> Sequence[Finding]:
    fields = read_device_status(config.state_dir, None)
    findings = [_look_at_state(fields)]
    buffer: Any = fields.get("buffer")
    if isinstance(buffer, dict):
        share = buffer["stored_bytes"] / buffer["max_bytes"]
        text = f"{buffer['records']} records wait, {100 * share:.1f} % full, {buffer['dropped_records']} dropped so far"
        if buffer["damage"]:
            findings.append(
                bad("buffer", str(buffer["damage"]), "The damaged file is kept beside it.", ErrorCode.BUFFER_DAMAGED)
            )
        elif share > _FULL:
            findings.append(
                bad("buffer", text, "Bring the master back, or raise buffer_max_mb.", ErrorCode.BUFFER_FULL)
            )
        else:
            findings.append(good("buffer", text))
    return findings


def _look_at_state(fields: dict[str, object]) -> Finding:
    if not fields["is_running"]:
        return note(
            "daemon",
            "not running",
            "Start it: vgroup slave run, or systemctl start vgroup-slave.",
            ErrorCode.SERVICE_STOPPED,
        )
    error, ack = fields.get("last_error"), fields.get("last_ack")
    at_unix_s = ack.get("at_unix_s") if isinstance(ack, dict) else None
    is_fresh = isinstance(at_unix_s, int | float) and time.time() - at_unix_s < _ACK_OLD_S
    if fields["state"] == "streaming" and is_fresh:
        return good("daemon", "streaming; the master acknowledges")
    if isinstance(error, dict):
        code = find_code(error.get("code")) or ErrorCode.SERVICE_SILENT
        return note("daemon", f"{fields['state']}: {error['message']}", str(error["remedy"]), code)
    text = f"{fields['state']}, no acknowledgement for five minutes"
    return note("daemon", text, "See: vgroup slave status", ErrorCode.SERVICE_SILENT)
