"""``vgroup group``: form the master's group, and look at it."""

from typing import Annotated

import typer

from master_api.cli.common import AsJson, DataDir, ask_master, make_app, print_result

group_app = make_app()


@group_app.command("create")
def create_command(
    name: Annotated[str, typer.Argument(help="For people: a ward, a household.")],
    *,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Form the master's group on the contract."""
    print_result(ask_master(data_dir, "group.create", name=name), as_json=as_json)


@group_app.command("show")
def show_command(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the group as the contract has it."""
    print_result(ask_master(data_dir, "group.show"), as_json=as_json)
