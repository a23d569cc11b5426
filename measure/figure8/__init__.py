"""Figure 8 of the paper again: power against time while a device idles, sends 100 messages, and idles again."""
