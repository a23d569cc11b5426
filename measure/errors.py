"""What can go wrong in a measurement and is not the user's to mend; a mistake of the user is a ConfigurationError."""

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import VirtualGroupError


class MeasurementError(VirtualGroupError):
    """A measurement cannot say what it was asked; whatever was measured before is kept."""

    default_code = ErrorCode.MEASUREMENT_REFUSED


class ProvenanceError(MeasurementError):
    """Measured and modelled figures were about to be mixed, compared or put into one series."""
