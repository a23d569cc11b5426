"""Finding the master: what the user typed, where it was last, what the local network says; its key decides."""
