"""What a transaction offers per gas, and what it has to offer to take another's place in the nodes' pools."""

from dataclasses import dataclass

_RAISE_NUMERATOR, _RAISE_DENOMINATOR = 9, 8
"""12.5 %: geth and anvil ask for 10 % more of both fees, other nodes for up to an eighth."""


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction offers per gas.

    Attributes:
        max_fee_wei: Wei per gas at most; the legacy gas price where ``tip_wei`` is None.
        tip_wei: EIP-1559 priority fee in wei per gas; None on a chain that has no base fee.
    """

    max_fee_wei: int
    tip_wei: int | None

    def capped(self, cap_wei: int) -> "Fees":
        """The same, but for no more than ``cap_wei`` per gas."""
        tip_wei = None if self.tip_wei is None else min(self.tip_wei, cap_wei)
        return Fees(min(self.max_fee_wei, cap_wei), tip_wei)

    def raised(self, market: "Fees", cap_wei: int) -> "Fees | None":
        """What a transaction in the place of one at these fees offers: an eighth more, or what the market asks now.

        Returns:
            None where the cap leaves no room for the eighth: a pool would refuse anything less.
        """
        max_fee_wei = max(_raise(self.max_fee_wei), market.max_fee_wei)
        if _raise(self.max_fee_wei) > cap_wei:
            return None
        if self.tip_wei is None:
            return Fees(min(max_fee_wei, cap_wei), None)
        tip_wei = max(_raise(self.tip_wei), market.tip_wei or 0)
        max_fee_wei = min(max(max_fee_wei, tip_wei), cap_wei)
        tip_wei = min(tip_wei, max_fee_wei)
        return None if tip_wei < _raise(self.tip_wei) else Fees(max_fee_wei, tip_wei)


def _raise(fee_wei: int) -> int:
    """An eighth more, rounded up; and more than before even where that was nothing."""
    return max(-(-fee_wei * _RAISE_NUMERATOR // _RAISE_DENOMINATOR), fee_wei + 1)
