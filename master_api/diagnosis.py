"""What may be wrong with a master, and what to do: the master's part of ``vgroup doctor``. Changes nothing."""

import asyncio
import socket
import time
from collections.abc import Mapping
from typing import Any

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import VirtualGroupError
from master_api.admin_socket import ask_master, is_served
from master_api.config import MasterConfig
from master_api.health import is_well
from master_api.hosts import is_loopback, join_authority, listening_hosts
from system_ports.findings import Finding, bad, good, look_at_clock, look_at_disk, look_at_permissions, note

_REMEDIES = {
    "store": ("Look at the disk and at the master's log.", ErrorCode.STORE_FAILED),
    "registry": (
        "See docs/chain_faults.md; with a node of yours: is it up, and its URL in `chain`?",
        ErrorCode.CHAIN_UNREACHABLE,
    ),
    "chain": ("See docs/chain_faults.md; members go on meanwhile as chain_away says.", ErrorCode.CHAIN_UNREACHABLE),
    "nodes": ("Look at the nodes that are named.", ErrorCode.CHAIN_UNREACHABLE),
    "group": ("Run: vgroup group create NAME", ErrorCode.NO_GROUP),
    "membership": ("See the master's log, and docs/chain_faults.md.", ErrorCode.CHAIN_CONTRADICTS),
}
_UNKNOWN_PART = ("See the master's log.", ErrorCode.PROGRAM_MISTAKE)
_BLOCK_OLD_S = 60.0


async def diagnose_master(config: MasterConfig) -> list[Finding]:
    """Look at everything. Raises nothing: what cannot be looked at is a finding."""
    findings = [look_at_clock()]
    if not config.data_dir.exists():
        return [
            *findings,
            bad("master", f"no master in {config.data_dir}", "Run: vgroup master init", ErrorCode.NO_MASTER_HERE),
        ]
    findings += [look_at_disk(config.data_dir), look_at_permissions(config.data_dir)]
    status: Mapping[str, Any] | None = None
    try:
        if is_served(config.admin_socket):
            status = await ask_master(config.admin_socket, "master.status", {})
    except VirtualGroupError as exc:
        return [*findings, bad("master", str(exc), exc.remedy or "See the master's log.", exc.code)]
    if status is None:
        start = "Start it: vgroup master run, or systemctl start vgroup-master."
        stopped = note("master", "not running, so its chain was not looked at", start, ErrorCode.SERVICE_STOPPED)
        return [*findings, stopped, _look_at_port(config)]
    findings.append(good("master", f"{status['master']} runs, {status['sessions']} devices connected"))
    findings.append(await _look_at_versions(config, status))
    findings.append(await asyncio.to_thread(_look_whether_reachable, config))
    findings += [_look_at_part(part, state) for part, state in status["health"].items()]
    findings += [*_look_at_chain(status), *_look_at_disputes(status), *_look_at_members(status)]
    return findings


async def _look_at_versions(config: MasterConfig, status: Mapping[str, Any]) -> Finding:
    """The master's, and those that devices told last."""
    listing = await ask_master(config.admin_socket, "device.list", {}) or {}
    devices: Any = listing.get("devices", [])
    told = sorted({str(device["software"]) for device in devices if device["software"]})
    theirs = f"devices told {', '.join(told)}" if told else "no device has told its own"
    return good("version", f"{status['software'] or 'unknown'}; {theirs}")


def _look_at_port(config: MasterConfig) -> Finding:
    hosts = listening_hosts(config.host)
    for host in hosts:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if ":" in host:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((host, config.port))
            except OSError as exc:
                remedy = "Choose another port, or stop what listens there: ss -ltnp"
                return bad(
                    "port", f"{join_authority(host, config.port)}: {exc.strerror}", remedy, ErrorCode.PORT_IN_USE
                )
    return good("port", f"{_places(config)} is free")


def _look_whether_reachable(config: MasterConfig) -> Finding:
    place, hosts = _places(config), listening_hosts(config.host)
    for host in hosts:
        near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
        try:
            socket.create_connection((near, config.port), timeout=2).close()
        except OSError as exc:
            where = join_authority(host, config.port)
            remedy = "Does `port` still say what the master runs with?"
            return bad("port", f"{where} takes no connection: {exc}", remedy, ErrorCode.SERVICE_SILENT)
    if all(map(is_loopback, hosts)):
        remedy = 'For devices on other machines: host = "*", or an address of this machine.'
        return note("port", f"{place} can be reached from this machine alone", remedy, ErrorCode.PORT_LOCAL_ONLY)
    return good("port", f"{place} takes connections; let it through the firewall")


def _places(config: MasterConfig) -> str:
    return ", ".join(join_authority(host, config.port) for host in listening_hosts(config.host))


def _look_at_part(part: str, state: str) -> Finding:
    return good(part, state) if is_well(state) else bad(part, state, *_REMEDIES.get(part, _UNKNOWN_PART))


def _look_at_chain(status: Mapping[str, Any]) -> list[Finding]:
    newest_unix_s: Any = status["newest_block_unix_s"]
    findings = []
    if newest_unix_s is not None:
        age_s = max(0.0, time.time() - newest_unix_s)
        if status["chain"] != "embedded" and age_s > _BLOCK_OLD_S:
            text = f"the newest block is {age_s:,.0f} s old"
            findings.append(
                bad("lag", text, "Do the signers seal? vgroup chain status, docs/chain.md", ErrorCode.CHAIN_LAGS)
            )
        else:
            findings.append(good("lag", f"the newest block is {age_s:,.0f} s old"))
    waiting = status["waiting_for_chain"]
    if waiting["associations"] or waiting["revocations"]:
        text = f"{waiting['associations']} associations and {waiting['revocations']} revocations wait for the chain"
        findings.append(note("queue", text, "They are sent as soon as it answers.", ErrorCode.CHAIN_UNREACHABLE))
    return findings


def _look_at_disputes(status: Mapping[str, Any]) -> list[Finding]:
    return [
        bad(
            "register",
            f"it says of {dispute['name']}: {dispute['register_says']}; nobody ordered or proved that here",
            "See the page for how to find out who is right. To make a revocation final: vgroup device evict NAME",
            ErrorCode.MEMBERSHIP_DISPUTED,
        )
        for dispute in status["disputed"]
    ]


def _look_at_members(status: Mapping[str, Any]) -> list[Finding]:
    refused = sum(status["refusals"].values())
    return [good("refusals", f"{refused} strangers' or broken requests since the start")] if refused else []
