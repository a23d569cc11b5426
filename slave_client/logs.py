"""The log of ``vgroup slave run``: the journal, with fields, where a service unit started it; else nothing."""

import logging

from system_ports.journal import JournalHandler, writes_to_journal

LOGGER_NAME = "vgroup.slave"


def configure_logs(log_level: str) -> bool:
    """Set the log up. Answers whether it goes to the journal: then what is said there need not stand on stderr too."""
    logger = logging.getLogger("vgroup")
    is_service = writes_to_journal()
    logger.handlers = [JournalHandler("vgroup-slave") if is_service else logging.NullHandler()]
    logger.setLevel(log_level)
    logger.propagate = False
    return is_service


def log_step(line: str) -> None:
    """A step of joining or of the daemon, for the journal."""
    logging.getLogger(LOGGER_NAME).info(line)
