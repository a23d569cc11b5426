"""``python -m tools.error_index``: write ``docs/errors/README.md``, the list of all codes with what each means."""

from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode
from vgroup.explain import load_page

INDEX: Final = Path(__file__).parent.parent / "docs" / "errors" / "README.md"
_HEAD: Final = """# Errors

Every error carries a code: on the terminal in its last line (`More: vgroup explain port-in-use`), as `code` in
`--json` output and in the answers of the admin socket, as `VGROUP_CODE` in the journal
(`journalctl VGROUP_CODE=disk-refuses`), below the doctor's lines, and as `explained_as` in a gateway's answers to its
callers. `vgroup explain CODE` shows its page in the terminal, `vgroup explain` this list. A stranger is told no code:
he gets one uniform refusal, whatever was wrong ([protocol.md](../protocol.md) §2).

One code stands for one remedy. A code that was released keeps its meaning and is never used for anything else.
The exit status of a command is coarser: see the [README](../../README.md).

| code | what it means |
|---|---|
"""


def render_index() -> str:
    """The page, from the first lines of all others."""
    pages = (load_page(code) for code in sorted(ErrorCode))
    return _HEAD + "".join(f"| [{page.code}]({page.code}.md) | {page.summary} |\n" for page in pages)


if __name__ == "__main__":
    INDEX.write_text(render_index(), "utf-8")
