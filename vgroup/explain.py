"""``vgroup explain CODE``: the page of an error's code, in the terminal. The pages are those of ``docs/errors/``."""

import json
import sys
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markdown import Markdown

from group_protocol.error_codes import ErrorCode, find_code
from group_protocol.errors import ConfigurationError

_WIDTH_MAX: Final = 100
_INSTALLED: Final = Path(__file__).parent / "error_pages"
_IN_THE_SOURCES: Final = Path(__file__).parent.parent / "docs" / "errors"


@dataclass(frozen=True, slots=True)
class Page:
    """What is written about a code.

    Attributes:
        summary: Its first sentence: what the error means.
        text: All of it, in Markdown.
    """

    code: ErrorCode
    summary: str
    text: str


def explain(
    code: Annotated[str | None, typer.Argument(help="As it stands below an error. Without it, all are listed.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain an error: what it means, likely causes, what to do. Without a code, list them all."""
    pages = [load_page(one) for one in ErrorCode] if code is None else [load_page(_wanted(code))]
    if as_json:
        typer.echo(json.dumps([asdict(page) for page in pages] if code is None else asdict(pages[0])))
    elif code is None:
        width = max(len(page.code) for page in pages)
        for page in pages:
            typer.echo(f"{page.code:{width}}  {page.summary}")
    elif sys.stdout.isatty():
        console = Console()
        console.print(Markdown(pages[0].text), width=min(console.width, _WIDTH_MAX))
    else:
        typer.echo(pages[0].text, nl=False)


def pages_folder() -> Path:
    """Where the pages are: beside this module once installed, in ``docs`` of the sources before."""
    return _INSTALLED if _INSTALLED.is_dir() else _IN_THE_SOURCES


def load_page(code: ErrorCode) -> Page:
    """Read a page: a heading with the code, then the summary as the first line of text."""
    text = (pages_folder() / f"{code}.md").read_text("utf-8")
    summary = next(line for line in text.splitlines()[1:] if line)
    return Page(code, summary, text)


def _wanted(text: str) -> ErrorCode:
    code = find_code(text.strip().lower().removesuffix(".md"))
    if code is None:
        near = get_close_matches(text.lower(), list(ErrorCode), n=3, cutoff=0.5)
        remedy = f"Did you mean {' or '.join(near)}?" if near else "All codes: vgroup explain"
        raise ConfigurationError(f"there is no code {text!r}", remedy=remedy, code=ErrorCode.ARGUMENT_WRONG)
    return code
