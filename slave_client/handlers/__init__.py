"""What a device does with messages from other slaves: plug-ins, as the sensors are."""
