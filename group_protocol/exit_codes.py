"""What a ``vgroup`` process says by its exit status. One table for every command."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of the command line. Scripts may rely on these numbers."""

    OK = 0
    """Done, and every check held."""
    CHECK_FAILED = 1
    """The command ran to its end and found something wrong: a bad record, a broken audit log, a failed claim."""
    USAGE = 2
    """A setting, file or argument is missing or wrong; the message says which. Also Typer's own usage errors."""
    UNAVAILABLE = 3
    """The chain, the master, the gateway or the store cannot be reached now; the same command may work later."""
    REFUSED = 4
    """The master, the contract or the peer said no for a stated reason; the same command will be refused again."""
    INTERNAL = 70
    """A mistake of this program (sysexits.h EX_SOFTWARE). Please report it."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C (128 + SIGINT), after cleaning up."""
