"""The peer: Mosquitto from Debian's packages, mutual TLS, QoS 1."""
