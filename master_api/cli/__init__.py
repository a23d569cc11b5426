"""The operator's commands.

A running master is asked over its admin socket; else the command opens the master's folder itself. Exit codes are
those of :mod:`group_protocol.exit_codes`: what a command raises is turned into one by ``vgroup``.
"""

from master_api.cli.audit import audit_app
from master_api.cli.device import device_app
from master_api.cli.group import group_app
from master_api.cli.master import master_app
from master_api.cli.records import records_app

__all__ = ["audit_app", "device_app", "group_app", "master_app", "records_app"]
