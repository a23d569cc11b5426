"""Table 2 of the paper again: time and energy of preparing an association request and a data message."""
