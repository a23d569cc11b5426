from pathlib import Path

import pytest

from group_protocol.crypto.aead import Aead
from slave_client.processor import preferred_aeads


@pytest.mark.parametrize(
    ("cpuinfo", "first"),
    [
        ("processor\t: 0\nflags\t\t: fpu vme aes xsave\n", Aead.A256GCM),
        ("processor\t: 0\nflags\t\t: fpu vme vaes_like xsave\n", Aead.C20P1305),
        ("processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32\n", Aead.A256GCM),
        ("processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nModel\t: Raspberry Pi 4 aes\n", Aead.C20P1305),
        ("", Aead.C20P1305),
    ],
)
def test_cipher_follows_the_processors_instructions(tmp_path: Path, cpuinfo: str, first: Aead) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    aeads = preferred_aeads(tmp_path / "cpuinfo")
    assert aeads[0] is first
    assert set(aeads) == set(Aead)


def test_machine_without_cpuinfo_takes_the_cipher_that_is_fast_everywhere(tmp_path: Path) -> None:
    assert preferred_aeads(tmp_path / "none")[0] is Aead.C20P1305
