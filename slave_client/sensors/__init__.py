"""Sensors: what a device measures. Built-in ones by name, others through the entry-point group ``vgroup.sensors``."""
