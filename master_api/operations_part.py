"""What each part of the operations stands on."""

from master_api.context import MasterContext
from master_api.service import MasterService


class OperationsPart:
    """A part of one master's operations."""

    def __init__(self, service: MasterService) -> None:
        self._service = service

    @property
    def _context(self) -> MasterContext:
        return self._service.context
