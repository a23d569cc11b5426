"""The kept corpus: one file for each target, one input in hex on each line, sorted by length."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "corpus"


def load_corpus(target: str) -> list[bytes]:
    """All kept inputs of a target."""
    return [bytes.fromhex(line) for line in (FOLDER / f"{target}.txt").read_text("ascii").splitlines()]


def save_corpus(target: str, inputs: Iterable[bytes]) -> int:
    """Keep these inputs and no others; answers how many."""
    unique = sorted(set(inputs), key=lambda raw: (len(raw), raw))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{target}.txt").write_text("".join(f"{raw.hex()}\n" for raw in unique), "ascii")
    return len(unique)


def unpack(inputs: Iterable[bytes], folder: Path) -> None:
    """Write one file for each input, as libFuzzer reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, raw in enumerate(inputs):
        (folder / f"kept-{number}").write_bytes(raw)
