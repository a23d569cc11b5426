"""Pairing strings for many devices, as CSV: for a fleet that somebody sets up without standing beside each device."""

import csv
import io
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import typer

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from master_api.cli.common import print_json
from master_api.descriptions import JsonObject
from system_ports.private_files import PRIVATE_FILE_MODE

COLUMNS = ("name", "pairing_string", "expires_at")
_SECONDS = {"m": 60.0, "h": 3_600.0, "d": 86_400.0}


def find_lifetime_s(lifetime: str | None, minutes: float | None) -> float | None:
    """Seconds of ``--lifetime`` or ``--minutes``; None for neither.

    Raises:
        ConfigurationError: Both are given, or the text is no lifetime.
    """
    if lifetime is None:
        return None if minutes is None else minutes * 60
    if minutes is not None:
        raise ConfigurationError(
            "--lifetime and --minutes say the same", remedy="Give one of them.", code=ErrorCode.ARGUMENT_WRONG
        )
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([mhd])", lifetime)
    lifetime_s = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if lifetime_s <= 0:
        raise ConfigurationError(
            f"{lifetime!r} is no lifetime",
            remedy="Give a number with m, h or d, such as 12h.",
            code=ErrorCode.ARGUMENT_WRONG,
        )
    return lifetime_s


def deliver_invitations(ask: Callable[[], Sequence[JsonObject]], out: Path | None, *, as_json: bool) -> None:
    """Ask the master for pairing strings, and write them to a new file or print them.

    The file is made first: where it cannot be, no code is made. Should it fill its disk afterwards, it is removed and
    the codes, which nobody knows then, expire.

    Raises:
        ConfigurationError: The file is there already, or cannot be written.
    """
    if out is None:
        invitations = ask()
        if as_json:
            print_json({"invitations": list(invitations)})
        else:
            typer.echo(_to_csv(invitations), nl=False)
        return
    with _new_private_file(out) as file:
        try:
            invitations = ask()
            file.write(_to_csv(invitations))
            file.flush()
            os.fsync(file.fileno())
        except OSError as exc:
            out.unlink(missing_ok=True)
            raise ConfigurationError(
                f"the file {out} cannot be written: {exc.strerror}", code=ErrorCode.FILE_UNUSABLE
            ) from exc
        except BaseException:
            out.unlink(missing_ok=True)
            raise
    expires_at = invitations[0]["expires_at"]
    if as_json:
        print_json({"file": str(out), "count": len(invitations), "expires_at": expires_at})
        return
    typer.echo(f"{len(invitations)} pairing strings in {out}, each good for one device until {expires_at}.")
    typer.echo("Whoever reads the file can join: bring each device its own line, then delete the file.")


def _new_private_file(path: Path) -> TextIO:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE_MODE)
    except FileExistsError as exc:
        raise ConfigurationError(
            f"the file {path} exists already, and is never overwritten",
            remedy="Choose another name for --out.",
            code=ErrorCode.FILE_EXISTS,
        ) from exc
    except OSError as exc:
        raise ConfigurationError(
            f"the file {path} cannot be made: {exc.strerror}", code=ErrorCode.FILE_UNUSABLE
        ) from exc
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


def _to_csv(invitations: Sequence[JsonObject]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([invitation[column] for column in COLUMNS] for invitation in invitations)
    return text.getvalue()
