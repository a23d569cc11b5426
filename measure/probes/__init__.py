"""Sources of energy figures behind one port (``port``); ``finding`` says which this machine has, and why not others."""
