"""How many durable readings a second a master takes over ``/stream``, beside Mosquitto with mutual TLS."""
