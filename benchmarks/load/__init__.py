"""What strangers can do to a running master, and what an honest device notices of it."""
