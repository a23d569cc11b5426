"""A table, and its five forms: terminal, Markdown, LaTeX, HTML and CSV."""

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

_LATEX: Final = str.maketrans(
    {
        **{character: "\\" + character for character in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "µ": r"\textmu{}",
        "±": r"$\pm$",
        "≈": r"$\approx$",
        "×": r"$\times$",
        "−": "--",
        "–": "--",
        "→": r"$\rightarrow$",
        "…": r"\ldots{}",
        "✓": r"$\checkmark$",
        "✗": r"$\times$",
    }
)

_WORD_MAX_CHARACTERS: Final = 24
"""A terminal's column is at least as wide as its longest word, up to this."""


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows. The first column is aligned to the left, the others to the right unless ``text_columns`` says so.

    Attributes:
        notes: Stand below it in every form: what figures are modelled, what a column contains.
        text_columns: Further columns that hold words.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    text_columns: frozenset[int] = frozenset()

    def is_text(self, column: int) -> bool:
        """Whether a column holds words."""
        return column == 0 or column in self.text_columns


def to_terminal(table: Table) -> RenderableType:
    """For Rich."""
    drawn = RichTable(title=escape(table.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
                      pad_edge=False, header_style="bold", expand=False)  # fmt: skip
    for index, name in enumerate(table.head):
        words = [word for cell in (name, *(row[index] for row in table.rows)) for word in cell.split()]
        longest = min(max(map(len, words), default=1), _WORD_MAX_CHARACTERS)
        drawn.add_column(
            escape(name), justify="left" if table.is_text(index) else "right", overflow="fold", min_width=longest
        )
    for row in table.rows:
        drawn.add_row(*(Text(cell, style="yellow" if "modelled" in cell else "") for cell in row))
    return Group(drawn, *(Text(f"  {note}", style="dim") for note in table.notes), Text(""))


def to_markdown(table: Table) -> str:
    """GitHub's tables."""
    rule = "|" + "|".join("---" if table.is_text(index) else "---:" for index in range(len(table.head))) + "|"
    lines = [f"### {table.title}", "", _bar(table.head), rule, *map(_bar, table.rows)]
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([*lines, *(["", *notes] if notes else []), ""])


def to_latex(table: Table) -> str:
    """A floating table with booktabs, made smaller where it would not fit the page."""
    columns = "".join("l" if table.is_text(index) else "r" for index in range(len(table.head)))
    body = [" & ".join(map(latex_text, row)) + r" \\" for row in table.rows]
    caption = latex_text(" ".join([f"{table.title}.", *table.notes]))
    return "\n".join(
        [
            r"% needs \usepackage{adjustbox,amssymb,booktabs,textcomp}",
            r"\begin{table}",
            rf"\caption{{{caption}}}",
            r"\begin{adjustbox}{max width=\linewidth, max totalheight=0.85\textheight}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(latex_text, table.head)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{adjustbox}",
            r"\end{table}",
            "",
        ]
    )


def latex_text(text: str) -> str:
    """Text that LaTeX takes as it is."""
    return text.translate(_LATEX)


def to_html(table: Table) -> str:
    """One <figure>; modelled cells carry a class as well as the word."""
    head = "".join(
        f'<th class="{_align(table, index)}">{html.escape(name)}</th>' for index, name in enumerate(table.head)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td class="{_align(table, at)}{_state(cell)}">{html.escape(cell)}</td>' for at, cell in enumerate(row)
        )
        + "</tr>"
        for row in table.rows
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    caption = f"<figcaption>{html.escape(table.title)}</figcaption>"
    return (
        f'<figure class="table">{caption}<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{f'<ul>{notes}</ul>' if notes else ''}</figure>"
    )


def to_csv(head_and_rows: Sequence[Sequence[str]]) -> str:
    """Comma-separated values."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(head_and_rows)
    return text.getvalue()


def _bar(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _align(table: Table, column: int) -> str:
    return "text" if table.is_text(column) else "number"


def _state(cell: str) -> str:
    if "modelled" in cell:
        return " modelled"
    return " good" if cell.startswith("✓") else " bad" if cell.startswith("✗") else ""
