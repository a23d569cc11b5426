"""Makes the variants of ``docs/formal/vgroup.vp`` and runs them: ``make formal-verifpal``.

A variant is the model with lines changed. ``VARIANTS`` holds what every query came out as when it was run: Verifpal's
result code, a letter for the kind of query and 0 for no attack, 1 for an attack.
The program ends with 0 if all come out so.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
MODEL: Final = ROOT / "docs" / "formal" / "vgroup.vp"
OUT: Final = ROOT / ".cache" / "formal"
HOLDS: Final = "c0c0a0a0a0a0e0"
Edit = tuple[str, str]

_TH1_H1: Final = "HASH(l_th1, sn, CONCAT(gxs, ek), CONCAT(sid, mn), CONCAT(gxm, ct))"
_TH1_E1: Final = "HASH(l_th1, sn, gxs, CONCAT(sid, mn), gxm)"
_E1: Final[tuple[Edit, ...]] = (
    ("\tgenerates ds\n", ""),
    ("\tek = PUBKEY(ds)\n", ""),
    ("sn, gxs, ek\n", "sn, gxs\n"),
    ("\tgenerates coins\n", ""),
    ("\tsskem_m, ct = KEM_ENCAP(ek, coins)\n", ""),
    ("\tsskem_s = KEM_DECAP(ds, ct)\n", ""),
    ("HKDF(th1_m, CONCAT(sskem_m, ssx_m), l_hs)", "HKDF(th1_m, ssx_m, l_hs)"),
    ("HKDF(th1_s, CONCAT(sskem_s, ssx_s), l_hs)", "HKDF(th1_s, ssx_s, l_hs)"),
    (f"th1_m = {_TH1_H1}", f"th1_m = {_TH1_E1}"),
    (f"th1_s = {_TH1_H1}", f"th1_s = {_TH1_E1}"),
    ("sid, mn, gxm, ct, sig, fin\n", "sid, mn, gxm, sig, fin\n"),
)
_NOT_LATER: Final[dict[str, Edit]] = {
    "Master": ("principal Master[\n\tleaks km\n]\n\n", ""),
    "Slave": ("\nprincipal Slave[\n\tleaks ks\n]\n", ""),
}


class Variant(NamedTuple):
    """A model to run.

    Attributes:
        edits: What stands once in the model, and what stands there instead.
        code: What came out.
        shows: For people.
    """

    edits: tuple[Edit, ...]
    code: str
    shows: str


VARIANTS: Final = {
    "h1": Variant((), HOLDS, "suite H1; both signing keys leak after the session"),
    "h1_x25519_broken": Variant(
        (("\tgenerates xs\n", "\tgenerates xs\n\tleaks xs\n"),),
        HOLDS,
        "suite H1 keeps all of it when the adversary has the slave's X25519 key",
    ),
    "e1": Variant(_E1, HOLDS, "suite E1, the same"),
    "slave_key_stolen": Variant(
        (*_E1, _NOT_LATER["Slave"], ("\tknows private ks\n", "\tknows private ks\n\tleaks ks\n")),
        HOLDS,
        "a thief of the slave's key, without its code: no master is played to it, nor is it paired in its place",
    ),
    "master_key_stolen": Variant(
        (*_E1, _NOT_LATER["Master"], ("\tknows private km\n", "\tknows private km\n\tleaks km\n")),
        "c1c0a1a0a1a0e0",
        "a thief of the master's key is the master to the slave, and still no slave to the master",
    ),
    "master_unpinned": Variant(
        (*_E1, ("[gkm]", "gkm")), "c1c0a1a0a1a0e0", "control: the slave takes any master's address"
    ),
    "master_unsigned": Variant(
        (*_E1, ("\t_ = SIGNVERIF(gkm, HASH(l_master, th1_s, gkm), sig)?\n", "")),
        "c0c0a0a0a1a0e0",
        "control: the slave does not check sig over TH1; what is left is the token",
    ),
    "x25519_broken": Variant(
        (*_E1, ("\tgenerates xs\n", "\tgenerates xs\n\tleaks xs\n")),
        "c1c1a0a1a1a1e0",
        "control: the adversary has the slave's X25519 key, in E1",
    ),
    "code_known": Variant(
        (
            *_E1,
            ("\tknows private ks\n\tknows private code\n", "\tknows private ks\n\tknows private code\n\tleaks code\n"),
        ),
        "c0c1a0a1a0a1e0",
        "control: whoever has the code is paired",
    ),
    "no_pairing": Variant(
        (*_E1, ("\t_ = ASSERT(MAC(code, HASH(l_pair, th2_m, gks_m)), pairing_m)?\n", "")),
        "c0c1a0a1a0a1e0",
        "control: the master admits every key",
    ),
}


def make_variant(model: str, variant: Variant) -> str:
    """The model's text with the edits.

    Raises:
        ValueError: What is to be changed does not stand there exactly once.
    """
    for old, new in variant.edits:
        if model.count(old) != 1:
            raise ValueError(f"stands {model.count(old)} times in the model: {old.strip()}")
        model = model.replace(old, new)
    return model


def run(verifpal: str, name: str, variant: Variant) -> str:
    """The result code of one variant; what Verifpal said instead if it gave none."""
    path = OUT / f"{name}.vp"
    path.write_text(make_variant(MODEL.read_text("utf-8"), variant), "utf-8")
    command = [verifpal, "verify", "--sessions", "1", "--result-code", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return lines[-1] if lines else "nothing"


def main(arguments: list[str]) -> int:
    """Run all variants; 0 if each comes out as it did."""
    OUT.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for name, variant in VARIANTS.items():
        code = run(arguments[0], name, variant)
        wrong += code != variant.code
        print(f"{name:18} {code:16} {'as due' if code == variant.code else 'DUE: ' + variant.code}  {variant.shows}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
