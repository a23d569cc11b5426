"""Puts one experiment's outputs into a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from measure.report.plots import save
from measure.report.tables import Table, to_csv, to_latex, to_markdown
from measure.results import Results, sample_rows

_UNWRITABLE: Final = "Choose another --out."


def make_folder(folder: Path) -> Path:
    """Make the output folder, before anything is measured. Raises ConfigurationError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as exc:
        raise ConfigurationError(
            f"cannot write into {folder}: {exc.strerror}", remedy=_UNWRITABLE, code=ErrorCode.FILE_UNUSABLE
        ) from exc
    return folder


def write_outputs(folder: Path, results: Results, tables: Sequence[Table], plots: dict[str, Figure]) -> list[Path]:
    """JSON, CSV of every raw sample, Markdown, LaTeX, and each plot as PNG and SVG; the samples first.

    Raises:
        ConfigurationError: The folder takes no files.
    """
    name = results.experiment
    texts = {
        f"{name}.samples.csv": to_csv(list(sample_rows(results.series))),
        f"{name}.md": "\n".join(map(to_markdown, tables)),
        f"{name}.tex": "\n".join(map(to_latex, tables)),
    }
    paths = [folder / f"{name}.json"]
    try:
        results.write(paths[0])
        for file, text in texts.items():
            (folder / file).write_text(text, "utf-8")
            paths.append(folder / file)
        for plot_name, figure in plots.items():
            paths += save(figure, folder, plot_name)
    except OSError as exc:
        raise ConfigurationError(
            f"cannot write into {folder}: {exc.strerror}", remedy=_UNWRITABLE, code=ErrorCode.FILE_UNUSABLE
        ) from exc
    return paths


def write_text(path: Path, text: str) -> None:
    """One file. Raises ConfigurationError."""
    try:
        path.write_text(text, "utf-8")
    except OSError as exc:
        raise ConfigurationError(
            f"cannot write {path}: {exc.strerror}", remedy=_UNWRITABLE, code=ErrorCode.FILE_UNUSABLE
        ) from exc
