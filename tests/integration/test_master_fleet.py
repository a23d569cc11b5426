"""Pairing strings for many devices at once, with a running master and without one."""

import csv
import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from group_protocol.exit_codes import ExitCode
from group_protocol.pairing import parse_pairing_string
from tests.integration.test_master_commands import Commands

pytestmark = [pytest.mark.network, pytest.mark.processes]


@pytest.fixture
async def commands(tmp_path: Path) -> Commands:
    commands = Commands(tmp_path / "m")
    await commands.succeed("master", "init", "--plain-key")
    await commands.succeed("group", "create", "ward 3")
    return commands


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def count_invitations(commands: Commands) -> tuple[int, int]:
    """In the store, and in its audit log."""
    with sqlite3.connect(commands.folder / "master.sqlite3") as database:
        (invitations,) = database.execute("SELECT count(*) FROM invitations").fetchone()
        (entries,) = database.execute("SELECT count(*) FROM audit WHERE kind = 'invitation.made'").fetchone()
    return invitations, entries


async def test_fleet_is_invited_into_a_private_file_with_and_without_a_running_master(
    commands: Commands, tmp_path: Path
) -> None:
    out, more = tmp_path / "invites.csv", tmp_path / "more.csv"
    lot = ("device", "invite", "Bed", "--count", "50", "--lifetime", "12h", "--host", "10.1.2.3", "--port", "3001")
    answer = await commands.succeed(*lot, "--out", str(out))
    assert (answer["count"], answer["file"]) == (50, str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    rows = read_rows(out)
    assert list(rows[0]) == ["name", "pairing_string", "expires_at"]
    assert [row["name"] for row in rows] == [f"Bed-{number:02}" for number in range(1, 51)]
    pairings = [parse_pairing_string(row["pairing_string"]) for row in rows]
    assert len({pairing.code for pairing in pairings}) == 50
    assert {(pairing.host, pairing.port) for pairing in pairings} == {("10.1.2.3", 3001)}
    left_s = (datetime.fromisoformat(rows[0]["expires_at"]) - datetime.now(UTC)).total_seconds()
    assert 11.9 * 3_600 < left_s <= 12 * 3_600
    assert count_invitations(commands) == (50, 50)
    async with commands.master():
        await commands.succeed("device", "invite", "Bed", "--count", "3", "--out", str(more))
        assert {parse_pairing_string(row["pairing_string"]).port for row in read_rows(more)} == {commands.ready["port"]}
        listing = await commands.succeed("device", "list")
        assert isinstance(listing["invitations"], list)
        assert len(listing["invitations"]) == 53
    assert (await commands.succeed("audit", "verify"))["is_good"] is True


async def test_file_that_exists_is_not_overwritten_and_no_code_is_made(commands: Commands, tmp_path: Path) -> None:
    out = tmp_path / "invites.csv"
    out.write_text("precious\n")
    status, _, errors = await commands.run("device", "invite", "Bed", "--count", "2", "--out", str(out))
    assert (status, "exists already" in errors) == (ExitCode.USAGE, True), errors
    assert out.read_text() == "precious\n"
    assert count_invitations(commands) == (0, 0)


async def test_file_is_gone_when_the_master_refuses(commands: Commands, tmp_path: Path) -> None:
    out = tmp_path / "invites.csv"
    status, _, errors = await commands.run("device", "invite", "x" * 62, "--count", "2", "--out", str(out))
    assert (status, "1 to 64 printable characters" in errors) == (ExitCode.REFUSED, True), errors
    assert not out.exists()
    assert count_invitations(commands) == (0, 0)


async def test_fleet_without_a_file_is_printed_as_csv(commands: Commands) -> None:
    status, output, _ = await commands.run("device", "invite", "Bed", "--count", "2")
    assert status == 0
    assert [row["name"] for row in csv.DictReader(output.splitlines())] == ["Bed-01", "Bed-02"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--lifetime", "soon"), "is no lifetime"),
        (("--lifetime", "0h"), "is no lifetime"),
        (("--lifetime", "2h", "--minutes", "5"), "say the same"),
        (("--out", "lonely.csv"), "Give --count too"),
    ],
)
async def test_wrong_terms_get_a_message_and_make_nothing(
    commands: Commands, options: tuple[str, ...], told: str
) -> None:
    status, _, errors = await commands.run("device", "invite", "Bed", *options)
    assert (status, told in errors) == (ExitCode.USAGE, True), errors
    assert count_invitations(commands) == (0, 0)
