"""What was published: the paper's Table 2, and the design that it comes from."""

from dataclasses import dataclass
from typing import Final

ASSOCIATION: Final = "association request"
DATA: Final = "data message, encrypted"
SIGNED_DATA: Final = "data message, signed"


@dataclass(frozen=True, slots=True)
class Published:
    """Mean and standard deviation as printed."""

    mean: str
    sd: str

    @property
    def text(self) -> str:
        """As in our own tables."""
        return f"{self.mean} ± {self.sd}"


@dataclass(frozen=True, slots=True)
class Column:
    """One device of one paper. Times in ms, powers in mW; None where none was published."""

    source: str
    device: str
    association_time: Published
    data_time: Published
    association_power: Published | None = None
    data_power: Published | None = None

    @property
    def title(self) -> str:
        """For a column's head."""
        return f"{self.source}: {self.device}"

    def find(self, operation: str, quantity: str) -> Published | None:
        """The figure for one of our rows; a signed data message is not in either paper's table."""
        return {
            (ASSOCIATION, "time"): self.association_time,
            (DATA, "time"): self.data_time,
            (ASSOCIATION, "power"): self.association_power,
            (DATA, "power"): self.data_power,
        }.get((operation, quantity))


PAPER: Final = "paper"
BBTRUST: Final = "BBTrust"
COLUMNS: Final = (
    Column(PAPER, "laptop", Published("1.03", "0.12"), Published("0.13", "0.001"),
           Published("9.76", "2.04"), Published("3.30", "0.80")),
    Column(PAPER, "Pi 3B", Published("2.1", "0.034"), Published("0.9", "0.025"),
           Published("50.4", "1.02"), Published("16.33", "1.08")),
    Column(PAPER, "Pi 4B", Published("1.7", "0.029"), Published("0.6", "0.029"),
           Published("48.4", "0.8"), Published("15.09", "0.9")),
    Column(BBTRUST, "laptop", Published("1.56", "0.13"), Published("0.04", "0.001")),
    Column(BBTRUST, "Pi", Published("28.03", "0.045"), Published("0.82", "0.029")),
)  # fmt: skip
"""Paper: Table 2 of IJCNC 14.6 (2022). BBTrust: Hammi, Hammi, Bellot, Serhrouchni, "Bubbles of Trust" (2018)."""
