"""Secrets that the service manager hands to a service (systemd.exec(5), ``LoadCredential=``)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

DIRECTORY_VARIABLE: Final = "CREDENTIALS_DIRECTORY"


def find_credential(name: str, environment: Mapping[str, str] | None = None) -> Path | None:
    """The file of a credential, readable by this service alone; None if the service was started without it."""
    environment = os.environ if environment is None else environment
    folder = environment.get(DIRECTORY_VARIABLE)
    path = Path(folder) / name if folder else None
    return path if path is not None and path.is_file() and path.stat().st_size else None
