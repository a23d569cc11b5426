"""A device's side of a virtual group: key store, sensors, buffer and transport."""
