"""What passes between a slave and its master, seen from outside: a recording proxy, and how its bytes are read."""
