"""What every test stands on."""

import signal

# A shell without job control starts its background commands with SIGINT ignored, and everything below inherits that:
# the programs that tests start and stop with Ctrl-C would not hear it. A handler is not inherited; the default is.
signal.signal(signal.SIGINT, signal.default_int_handler)
