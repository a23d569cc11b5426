"""``vgroup device``: invite, list and revoke devices."""

import io
from typing import Annotated

import segno
import typer

from master_api.cli.common import AsJson, DataDir, ask_master, make_app, print_fields, print_json, print_table

device_app = make_app()

_COLUMNS = ("oid", "short", "name", "state", "records", "has_session", "last_seen")
_INVITATION_COLUMNS = ("name", "state", "expires_at", "wrong_proofs")


@device_app.command("invite")
def invite_command(
    name: Annotated[str, typer.Argument(help="What people call the device.")],
    *,
    data_dir: DataDir = None,
    minutes: Annotated[float | None, typer.Option(help="Lifetime of the pairing code.", min=0.1)] = None,
    host: Annotated[str | None, typer.Option(help="Host that the pairing string names.")] = None,
    port: Annotated[int | None, typer.Option(help="Port that the pairing string names.", min=1, max=65_535)] = None,
    qr: Annotated[bool, typer.Option(help="Show the pairing string as a QR code too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Make a pairing string for one device. Whoever has it can join: give it to nobody but the device."""
    lifetime_s = None if minutes is None else minutes * 60
    invitation = ask_master(data_dir, "device.invite", name=name, lifetime_s=lifetime_s, host=host, port=port)
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
    else:
        typer.echo("No device is enrolled. Next: vgroup device invite NAME")
    if isinstance(invitations, list) and invitations:
        typer.echo("\nInvitations")
        print_table(invitations, _INVITATION_COLUMNS)


@device_app.command("revoke")
def revoke_command(
    device: Annotated[str, typer.Argument(help="The device's whole oid, or its name.")],
    *,
    data_dir: DataDir = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Revoke a device for good: its id never comes back."""
    if not yes:
        typer.confirm(f"Revoke {device} for good?", abort=True, err=True)
    result = ask_master(data_dir, "device.revoke", device=device)
    if as_json:
        print_json(result)
    else:
        print_fields(result)
