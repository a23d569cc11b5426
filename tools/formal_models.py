"""Makes the variants of ``docs/formal/vgroup.pv``, and runs them where ProVerif is installed: ``make formal``.

A variant turns blocks of the model off. ``VARIANTS`` holds what every query must come out as. Without ProVerif on the
path the variants are written to ``.cache/formal/`` and the program ends with 2.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "docs" / "formal"
OUT: Final = ROOT / ".cache" / "formal"
BLOCKS: Final = {
    "H1": "ML-KEM-768 beside X25519; off: E1",
    "X25519_HOLDS": "off: the adversary learns every ephemeral X25519 private key",
    "MASTER_SIGNS": "off: the slave does not check sig over TH1",
    "SLAVE_SIGNS": "off: the master does not check the signature in M3",
    "SLAVE_BINDS_TH2": "off: the signature in M3 is over the two addresses alone",
    "PAIRING": "off: the master admits every key",
    "SLAVE_KEY_SAFE": "off: the adversary has the slave's signing key from the beginning",
    "MASTER_KEY_SAFE": "off: the adversary has the master's signing key from the beginning",
}
_BLOCK: Final = re.compile(r"\(\*@ifdef (\w+)@\*\)((?:(?!\(\*@ifdef).)*?)\(\*@else(.*?)@end\*\)", re.DOTALL)
_RESULT: Final = re.compile(r"^Query .*?(is true|is false|cannot be proved)\.", re.MULTILINE | re.DOTALL)


class Variant(NamedTuple):
    """A model to run.

    Attributes:
        off: Blocks that are off.
        results: One letter for each query in order: t true, f false, - not claimed.
        shows: For people.
    """

    off: frozenset[str]
    results: str
    shows: str


def _without(*blocks: str) -> frozenset[str]:
    return frozenset(blocks)


VARIANTS: Final = {
    "h1": Variant(_without(), "tttttttf", "H1: secrecy both ways and forward, injective agreement both ways, tokens"),
    "e1": Variant(_without("H1"), "tttttttf", "E1: the same"),
    "h1_x25519_broken": Variant(_without("X25519_HOLDS"), "tttttttf", "H1 keeps it all when X25519 falls"),
    "e1_x25519_broken": Variant(_without("H1", "X25519_HOLDS"), "ff----tf", "control: E1 does not"),
    "slave_key_stolen": Variant(
        _without("SLAVE_KEY_SAFE"), "tftffttf", "key compromise impersonation: a thief of its key fools no slave"
    ),
    "master_key_stolen": Variant(
        _without("MASTER_KEY_SAFE"), "ftfttftf", "key compromise impersonation: a thief of its key fools no master"
    ),
    "master_key_stolen_signature_unbound": Variant(
        _without("MASTER_KEY_SAFE", "SLAVE_BINDS_TH2"), "f-ff-f-f", "control: without TH2 in sig_s a thief does"
    ),
    "master_unsigned": Variant(_without("MASTER_SIGNS"), "f-f--f-f", "control: no signature on TH1"),
    "slave_unsigned": Variant(_without("SLAVE_SIGNS"), "-f-f---f", "control: no signature in M3"),
    "no_pairing": Variant(_without("PAIRING"), "tttff-ff", "control: a token for everybody"),
}
PAPER_RESULTS: Final = "ffffff"


def make_variant(model: str, off: frozenset[str]) -> str:
    """The model's text with these blocks off.

    Raises:
        ValueError: A block has no name of ``BLOCKS``, or markers are left over.
    """

    def choose(block: re.Match[str]) -> str:
        name, on, other = block.groups()
        if name not in BLOCKS:
            raise ValueError(f"unknown block {name}")
        return other if name in off else on

    before = ""
    while before != model:  # inner blocks first
        before, model = model, _BLOCK.sub(choose, model)
    if "@ifdef" in model or "@else" in model or "@end" in model:
        raise ValueError("a block's markers do not match")
    return model


def make_all() -> dict[str, tuple[str, str]]:
    """For each file name its text and the results that are due."""
    model = (FOLDER / "vgroup.pv").read_text("utf-8")
    files = {name: (make_variant(model, variant.off), variant.results) for name, variant in VARIANTS.items()}
    return files | {"paper": ((FOLDER / "paper.pv").read_text("utf-8"), PAPER_RESULTS)}


def judge(output: str, due: str) -> list[str]:
    """How ProVerif's output differs from the results that are due, in words."""
    letters = {"is true": "t", "is false": "f", "cannot be proved": "?"}
    summary = output.partition("Verification summary:")[2]
    found = [letters[result] for result in _RESULT.findall(summary)]
    if len(found) != len(due):
        return [f"{len(found)} results, {len(due)} are due"]
    pairs = enumerate(zip(found, due, strict=True), start=1)
    return [f"Q{number} is {result}, not {wanted}" for number, (result, wanted) in pairs if wanted not in (result, "-")]


def main() -> int:
    """Write the variants and run them; 0 when every result is as it is due, 1 if not, 2 without ProVerif."""
    OUT.mkdir(parents=True, exist_ok=True)
    prover = shutil.which("proverif")
    wrong = 0
    for name, (text, due) in make_all().items():
        path = OUT / f"{name}.pv"
        path.write_text(text, "utf-8")
        if prover is None:
            continue
        done = subprocess.run([prover, path], capture_output=True, text=True, check=False)
        findings = judge(done.stdout, due)
        wrong += bool(findings)
        print(f"{name}: {'; '.join(findings) or 'as due'}")
    if prover is None:
        print(f"proverif is not on the path; the models are in {OUT}")
        return 2
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
