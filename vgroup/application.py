"""The ``vgroup`` application: every group of commands under one name, and how a command ends."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Final

import typer

from group_protocol.errors import (
    BusyError,
    ConfigurationError,
    RefusedError,
    RegistryInconsistent,
    RegistryUnavailable,
    RemoteProtocolError,
    StoreError,
    VirtualGroupError,
)
from group_protocol.exit_codes import ExitCode
from group_protocol.extensions import TurnedAwayError
from slave_client.errors import DeviceRevokedError, MasterRefusalError, MasterUnreachableError, SensorError
from vgroup.catalogue import GROUPS, CommandGroup

EXIT_CODES: Final[tuple[tuple[tuple[type[VirtualGroupError], ...], ExitCode], ...]] = (
    ((ConfigurationError, SensorError), ExitCode.USAGE),
    ((BusyError, MasterUnreachableError, RegistryUnavailable, StoreError), ExitCode.UNAVAILABLE),
    ((RegistryInconsistent,), ExitCode.CHECK_FAILED),
    ((RefusedError, MasterRefusalError, DeviceRevokedError, TurnedAwayError, RemoteProtocolError), ExitCode.REFUSED),
)
"""Which error ends a command with which status; the first row that fits. Any other is our own mistake."""

_TAKE_ANYTHING: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


def compose(arguments: Sequence[str]) -> typer.Typer:
    """The application for one command line: the group that it names is imported, the others are only listed."""
    application = typer.Typer(
        name="vgroup",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    application.callback()(_take_options)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    for group in GROUPS:
        if group.name == chosen and not group.missing:
            _add(application, group)
        else:
            _list(application, group)
    return application


def run(arguments: Sequence[str]) -> ExitCode | int:
    """Run one command line and say how it ended. Whatever the user can mend ends in a message, not in a traceback."""
    try:
        compose(arguments)(list(arguments), prog_name="vgroup")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough, like head(1). Nothing more may be written, at exit neither.
        sys.stdout = None
        return ExitCode.OK
    except VirtualGroupError as error:
        status = exit_code_of(error)
        if status is ExitCode.INTERNAL:
            raise
        show_error(error)
        return status
    return ExitCode.OK


def exit_code_of(error: VirtualGroupError) -> ExitCode:
    """The exit status that an error ends a command with."""
    return next((status for kinds, status in EXIT_CODES if isinstance(error, kinds)), ExitCode.INTERNAL)


def show_error(error: VirtualGroupError) -> None:
    """What failed, what to do, and the name of the page about it, on standard error."""
    typer.echo(f"vgroup: {error}", err=True)
    if error.remedy:
        typer.echo(f"  {error.remedy}", err=True)
    typer.echo(f"  More: vgroup explain {error.code}", err=True)


def _add(application: typer.Typer, group: CommandGroup) -> None:
    loaded = group.load()
    if isinstance(loaded, typer.Typer):
        application.add_typer(loaded, name=group.name, help=group.summary)
    else:
        application.command(name=group.name, help=group.summary)(loaded)


def _list(application: typer.Typer, group: CommandGroup) -> None:
    summary = group.summary
    if group.missing:
        from rich.markup import escape  # noqa: PLC0415 - a megabyte of a device's memory, for a help page

        summary += f" (Not installed. {escape(group.remedy)})"
    application.command(name=group.name, help=summary, context_settings=_TAKE_ANYTHING, add_help_option=False)(
        _refusing(group)
    )


def _refusing(group: CommandGroup) -> Callable[[], None]:
    def refuse() -> None:
        group.load()

    return refuse


def _show_version(is_wanted: bool) -> None:  # noqa: FBT001 - Typer passes the option's value
    if is_wanted:
        from importlib.metadata import version  # noqa: PLC0415 - as above

        typer.echo(f"vgroup {version('vgroup')}")
        raise typer.Exit


def _take_options(
    *,
    shows_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Virtual groups of medical devices, with an Ethereum contract as their public register."""
