"""``vgroup device``: invite, list, evict and ban devices."""

import io
from pathlib import Path
from typing import Annotated

import segno
import typer

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from master_api.cli.common import AsJson, DataDir, ask_master, make_app, print_json, print_result, print_table
from master_api.cli.invitations import deliver_invitations, find_lifetime_s
from master_api.descriptions import JsonObject
from master_api.names import INVITATIONS_MAX
from master_api.standings import EXPIRED_REMEDY
from master_api.store.invitations import InvitationState

device_app = make_app()

TheDevice = Annotated[str, typer.Argument(help="The device's whole oid, or its name.")]
_COLUMNS = ("oid", "short", "name", "standing", "records", "has_session", "software", "last_seen")
_INVITATION_COLUMNS = ("name", "state", "expires_at", "wrong_proofs")


@device_app.command("invite")
def invite_command(  # noqa: PLR0913 - Typer makes an option of each parameter
    name: Annotated[
        str, typer.Argument(help="What people call the device; with --count, what their names begin with.")
    ],
    *,
    data_dir: DataDir = None,
    count: Annotated[
        int | None,
        typer.Option(help="Invite so many devices, NAME-01, NAME-02, …, as CSV.", min=1, max=INVITATIONS_MAX),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the CSV to this new file, mode 0600, and not to the terminal.")
    ] = None,
    lifetime: Annotated[
        str | None, typer.Option(help="Lifetime of a pairing code: a number with m, h or d, such as 45m, 12h, 7d.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="The same in minutes.", min=0.1)] = None,
    host: Annotated[str | None, typer.Option(help="Host that the pairing string names.")] = None,
    port: Annotated[int | None, typer.Option(help="Port that the pairing string names.", min=1, max=65_535)] = None,
    qr: Annotated[bool, typer.Option(help="Show the pairing string as a QR code too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Make a pairing string for one device, or for many. Whoever has one can join: give it to nobody but its device."""
    lifetime_s = find_lifetime_s(lifetime, minutes)
    terms = {"lifetime_s": lifetime_s, "host": host, "port": port}
    if count is None and out is not None:
        raise ConfigurationError("--out is for many devices", remedy="Give --count too.", code=ErrorCode.ARGUMENT_WRONG)
    if count is not None:

        def ask() -> list[JsonObject]:
            answer = ask_master(data_dir, "device.invite_many", name=name, count=count, **terms)["invitations"]
            return answer if isinstance(answer, list) else []

        deliver_invitations(ask, out, as_json=as_json)
        return
    invitation = ask_master(data_dir, "device.invite", name=name, **terms)
    if as_json:
        print_json(invitation)
        return
    pairing_string = str(invitation["pairing_string"])
    typer.echo(pairing_string)
    if qr:
        picture = io.StringIO()
        segno.make(pairing_string, error="m").terminal(picture, compact=True)
        typer.echo(picture.getvalue())
    typer.echo(f"Good until {invitation['expires_at']}, for one device. There: vgroup slave join STRING")


@device_app.command("list")
def list_command(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List enrolled devices and open invitations."""
    listing = ask_master(data_dir, "device.list")
    if as_json:
        print_json(listing)
        return
    devices, invitations = listing["devices"], listing["invitations"]
    if isinstance(devices, list) and devices:
        print_table(devices, _COLUMNS)
        for device in devices:
            if device["remedy"]:
                typer.echo(f"{device['name']} is {device['standing']}. {device['remedy']}")
    else:
        typer.echo("No device is enrolled. Next: vgroup device invite NAME")
    if isinstance(invitations, list) and invitations:
        typer.echo("\nInvitations")
        print_table(invitations, _INVITATION_COLUMNS)
        if any(invitation["state"] == InvitationState.EXPIRED for invitation in invitations):
            typer.echo(f"expired: {EXPIRED_REMEDY}")


@device_app.command("evict")
@device_app.command("revoke")
def revoke_command(
    device: TheDevice,
    *,
    data_dir: DataDir = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a device out of the group for good, in the contract: its id never comes back.

    The thing itself may be invited again, as a new device. `revoke` and `evict` are the same.
    """
    if not yes:
        typer.confirm(f"Evict {device} for good?", abort=True, err=True)
    print_result(ask_master(data_dir, "device.revoke", device=device), as_json=as_json)


@device_app.command("ban")
def ban_command(
    device: TheDevice,
    *,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Shut a device out at once, until the ban is lifted. It keeps its key, its membership and its readings.

    The contract hears nothing of it: against a stolen key, evict.
    """
    print_result(ask_master(data_dir, "device.ban", device=device), as_json=as_json)


@device_app.command("unban")
def unban_command(
    device: TheDevice,
    *,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Lift a ban: the device goes on by itself, and delivers what it kept."""
    print_result(ask_master(data_dir, "device.unban", device=device), as_json=as_json)
