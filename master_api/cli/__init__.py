"""The operator's commands, one module for each group; ``vgroup`` imports the one that is asked for.

A running master is asked over its admin socket; else the command opens the master's folder itself. Exit codes are those
of :mod:`group_protocol.exit_codes`: what a command raises is turned into one by ``vgroup``.
"""
