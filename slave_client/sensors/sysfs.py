"""Reading small files of the kernel's sysfs."""

import math
from pathlib import Path

from slave_client.errors import SensorError

_FILE_MAX_BYTES = 4_096


def read_text(path: Path) -> str:
    """The text of a sysfs file, stripped. Raises SensorError."""
    try:
        with path.open("rb") as file:
            return file.read(_FILE_MAX_BYTES).decode("ascii", "replace").strip()
    except OSError as exc:
        raise SensorError(
            f"cannot read {path}: {exc.strerror}",
            remedy="Check the wiring, and that this user may read it (often: a group such as gpio, i2c or iio).",
        ) from exc


def read_number(path: Path) -> float:
    """A finite number from a sysfs file. Raises SensorError."""
    text = read_text(path)
    try:
        number = float(text)
    except ValueError as exc:
        raise SensorError(f"{path} holds no number: {text[:40]!r}") from exc
    if not math.isfinite(number):
        raise SensorError(f"{path} holds no finite number")
    return number
