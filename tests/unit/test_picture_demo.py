"""What the README quotes of the demo is taken from what the demo showed."""

import pytest

from tools.picture_demo import quote

README = "Before.\n`make demo` ends like this (a word):\n\n```\nold\n```\nBehind.\n```\nothers\n```\n"
SHOWN = """
Attacks on the running system
  ✓ one
    → refused
  ✓ two
    → refused
  ✓ three

Revoking slave-3
  ✓ revoked
  ✓ cut off

Summary
  Wall time 20 s

  All 37 claims held.
"""


def test_readme_quotes_the_first_attacks_the_revocation_and_the_summary() -> None:
    quoted = quote(README, SHOWN)
    assert "old" not in quoted
    assert "  ✓ two\n    → refused\n    …\nRevoking slave-3" in quoted
    assert "All 37 claims held." in quoted
    assert quoted.endswith("```\nBehind.\n```\nothers\n```\n")


@pytest.mark.parametrize(("readme", "shown"), [("No demo here.", SHOWN), (README, "Summary\n  nothing\n")])
def test_readme_or_demo_without_its_parts_raises_value_error(readme: str, shown: str) -> None:
    with pytest.raises(ValueError, match="demo"):
        quote(readme, shown)
