"""``vgroup demo``: the whole system on one machine, on real recordings, attacked and then checked."""
