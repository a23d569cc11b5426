"""Verifpal's variants are made of the model as it stands, and differ from it where they say. Running them is make's."""

import re

import pytest

from tools.verifpal_models import HOLDS, MODEL, VARIANTS, Variant, make_variant

TEXT = MODEL.read_text("utf-8")
QUERIES = re.findall(r"^\t(\w)\w+\? ", TEXT, flags=re.MULTILINE)


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_made_and_its_result_has_a_verdict_for_each_query(name: str) -> None:
    variant = VARIANTS[name]
    made = make_variant(TEXT, variant)
    assert (made == TEXT) is (not variant.edits)
    assert re.sub("[01]", "", variant.code) == "".join(QUERIES)
    assert len(variant.code) == 2 * len(QUERIES)


def test_model_that_has_moved_on_is_noticed() -> None:
    with pytest.raises(ValueError, match="0 times"):
        make_variant(TEXT, Variant((("no such line", ""),), HOLDS, ""))


def test_every_message_of_a_join_up_to_the_first_record_is_modelled() -> None:
    sent = re.findall(r"^(Slave|Master) -> (Slave|Master): (.*)$", TEXT, flags=re.MULTILINE)
    assert [words for _, _, words in sent] == [
        "[gkm]",
        "sn, gxs, ek",
        "sid, mn, gxm, ct, sig, fin",
        "n3, m3",
        "n4, m4",
        "n5, m5",
    ]


def test_controls_find_attacks_and_the_protocol_none() -> None:
    assert {VARIANTS[name].code for name in ("h1", "e1")} == {HOLDS}
    assert all("1" in VARIANTS[name].code for name in ("master_unpinned", "master_unsigned", "no_pairing"))
