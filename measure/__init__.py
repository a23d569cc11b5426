"""Probes and experiments: time, bytes, gas and energy."""
