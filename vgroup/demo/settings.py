"""What ``vgroup demo`` was asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError

EMBEDDED: Final = "embedded"
SLAVES_MAX: Final = 64
"""One process each, of some 50 MB."""


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """The demo's options.

    Attributes:
        slaves: How many slaves, each a process.
        seconds: How long they stream before the attacks begin.
        chain: ``embedded``, or the URL of a node's JSON-RPC.
        key_file: Key of the account that pays, for a chain by URL.
        speed: The recordings are replayed so many times as fast as they were made.
        json_file: Where the summary is written as JSON; None for nowhere.
        keep: A new directory for all that the demo makes; None for a temporary one that goes with it.
    """

    slaves: int = 3
    seconds: float = 10.0
    chain: str = EMBEDDED
    key_file: Path | None = None
    speed: float = 1.0
    json_file: Path | None = None
    keep: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises ConfigurationError."""
        if not 1 <= self.slaves <= SLAVES_MAX:
            raise ConfigurationError(f"--slaves is 1 to {SLAVES_MAX}, not {self.slaves}", code=ErrorCode.ARGUMENT_WRONG)
        if not 1 <= self.seconds <= 86_400:
            raise ConfigurationError(f"--seconds is 1 to 86,400, not {self.seconds:g}", code=ErrorCode.ARGUMENT_WRONG)
        if not 0.01 <= self.speed <= 100:
            raise ConfigurationError(f"--speed is 0.01 to 100, not {self.speed:g}", code=ErrorCode.ARGUMENT_WRONG)
        if self.chain != EMBEDDED and not self.chain.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"--chain {self.chain} is neither 'embedded' nor a URL",
                remedy="For instance http://127.0.0.1:8545",
                code=ErrorCode.ARGUMENT_WRONG,
            )
        if self.chain != EMBEDDED and self.key_file is None:
            raise ConfigurationError(
                "a chain by URL needs --key-file: the key of an account that pays for transactions",
                remedy="Name a file that holds a private key (64 hex digits, mode 0600).",
                code=ErrorCode.ARGUMENT_WRONG,
            )
        if self.keep is not None and self.keep.exists():
            raise ConfigurationError(
                f"--keep {self.keep} exists already",
                remedy="Name a directory that does not.",
                code=ErrorCode.FILE_EXISTS,
            )
