"""Looking at a device from outside, whether or not its daemon runs. Changes nothing."""

import time
from pathlib import Path
from typing import Any

from slave_client.device_state import JoinStep
from slave_client.keystore import KeyStore
from slave_client.state_directory import StateDirectory, is_in_use
from slave_client.states import State
from slave_client.status import STATUS_FILE, describe_device, read_status


def read_device_status(state_dir: Path, status_file: Path | None) -> dict[str, object]:
    """What the files tell: the device's own state, and the daemon's as it last wrote it. Raises KeyStoreError."""
    unpaired: dict[str, object] = {"state": State.UNPAIRED.value, "is_running": False}
    if not state_dir.exists():
        return unpaired
    directory = StateDirectory(state_dir)
    directory.check()
    device = KeyStore(directory).load_state()
    if device is None:
        return unpaired
    is_running = is_in_use(state_dir)
    written = read_status(status_file or state_dir / STATUS_FILE) or {}
    fields: dict[str, object] = {**written, **describe_device(device), "is_running": is_running}
    if device.step is JoinStep.REVOKED:
        fields["state"] = State.REVOKED.value
    elif not is_running or "state" not in fields:
        fields["state"] = State.STOPPED.value
    return fields


def status_lines(fields: dict[str, object]) -> list[str]:
    """The status for people."""
    lines = [f"state      {fields['state']}{_since(fields.get('since_unix_s'))}"]
    if fields["state"] == State.UNPAIRED.value:
        return [*lines, "Next: vgroup slave join STRING"]
    lines += [
        f"device     {fields['object_id'] or '-'}  (shown as {fields['display_id'] or '-'}, {fields['join_step']})",
        f"standing   {fields['standing']}",
        *([f"           {fields['standing_remedy']}"] if fields["standing_remedy"] else []),
        f"group      {fields['group'] or '-'}",
        f"master     {fields['master']} at {fields['endpoint']}{_reached(fields)}",
        f"version    {fields['software'] or '-'}; the master's {fields['master_software'] or 'is not known'}",
    ]
    buffer, ack, error = fields.get("buffer"), fields.get("last_ack"), fields.get("last_error")
    if isinstance(buffer, dict):
        lines += _buffer_lines(buffer)
    inbox = fields.get("inbox")
    if isinstance(inbox, dict):
        lines.append(
            f"inbox      {inbox['messages']} messages from other slaves; {inbox['refused']} refused, "
            f"{inbox['repeated']} repeated or out of order, {inbox['dropped']} dropped"
        )
        if inbox["damage"]:
            lines.append(f"           {inbox['damage']}")
    if isinstance(ack, dict):
        lines.append(
            f"last ack   record {ack['last_seq']}, evidence to {ack['evidence_seq']}, epoch {ack['epoch']}"
            f"{_since(ack['at_unix_s'])}"
        )
    if isinstance(error, dict):
        lines.append(f"last error {error['message']}{_since(error['at_unix_s'])}")
        if error["remedy"]:
            lines.append(f"           {error['remedy']}")
        if code := error.get("code"):  # a status that an older daemon wrote has none
            lines.append(f"           More: vgroup explain {code}")
    return lines


def _reached(fields: dict[str, object]) -> str:
    """Where the master really is, if it is not where the pairing string says."""
    elsewhere = fields.get("last_endpoint")
    reached = fields.get("reached")
    if isinstance(reached, dict) and reached["way"] == "typed":
        return ""
    return f"; found at {elsewhere}" if elsewhere else ""


def _buffer_lines(buffer: dict[str, Any]) -> list[str]:
    """How full it is, what gives way when it is full, and what was lost."""
    waiting = buffer["records"] + buffer["uncommitted_records"]
    share = 100 * buffer["stored_bytes"] / buffer["max_bytes"]
    oldest_h, max_h = (buffer["oldest_age_s"] or 0.0) / 3_600, buffer["max_age_s"] / 3_600
    lines = [
        (
            f"buffer     {waiting} records wait, {share:.1f} % of {buffer['max_bytes'] / 1e6:,.1f} MB, "
            f"the oldest for {oldest_h:.1f} of {max_h:,.0f} h; when full: {buffer['when_full']}"
        ),
        f"           acknowledged and kept: {buffer['kept_records']} ({buffer['kept_bytes'] / 1e6:,.1f} MB)",
        (
            f"           lost: {buffer['dropped_records']} dropped, {buffer['set_aside_records']} set aside, "
            f"{buffer['unreadable_records']} unreadable"
        ),
    ]
    if buffer["uncommitted_records"]:
        lines.insert(1, f"           {buffer['uncommitted_records']} of them wait in memory for the disk")
    if buffer["damage"]:
        lines.append(f"           {buffer['damage']}")
    if lost := buffer["lost_by_master"]:
        lines.append(
            f"           the master no longer holds records {lost['first_seq']} to {lost['last_seq']}, which it had "
            f"acknowledged; {lost['sent_again']} of them are sent again"
        )
    return lines


def _since(unix_s: object) -> str:
    """How long ago, in the coarsest unit that says enough."""
    if not isinstance(unix_s, int | float):
        return ""
    age_s = max(0, int(time.time() - unix_s))
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if age_s >= 2 * length_s:
            return f", {age_s // length_s} {unit} ago"
    return f", {age_s} s ago"
