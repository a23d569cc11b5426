"""Which groups of commands there are, where each is written, and what it needs to be installed.

Nothing of a group is imported before it is asked for: a device has no web3, and ``vgroup --help`` waits for nobody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Final

import typer

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class CommandGroup:
    """One word after ``vgroup``.

    Attributes:
        summary: Its line in ``vgroup --help``.
        module: Where its Typer application, or its one command, is.
        attribute: The name of that in the module.
        extra: What to install for it: ``pip install 'vgroup[extra]'``.
        needs: Top-level modules that the extra brings.
    """

    name: str
    summary: str
    module: str
    attribute: str
    extra: str
    needs: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The modules that are not installed. Looks for them without importing any."""
        return tuple(name for name in self.needs if find_spec(name) is None)

    @property
    def remedy(self) -> str:
        """How to get what is missing."""
        return f"Run: pip install 'vgroup[{self.extra}]'"

    def load(self) -> typer.Typer | Callable[..., None]:
        """Import the group's application or command.

        Raises:
            ConfigurationError: Its extra is not installed.
        """
        if missing := self.missing:
            raise ConfigurationError(
                f"vgroup {self.name} needs {', '.join(missing)}", remedy=self.remedy, code=ErrorCode.PACKAGE_MISSING
            )
        loaded: typer.Typer | Callable[..., None] = getattr(import_module(self.module), self.attribute)
        return loaded


_GATEWAY_NEEDS: Final = ("aiohttp", "eth", "eth_account", "web3")
_MASTER_NEEDS: Final = (*_GATEWAY_NEEDS, "segno", "sqlalchemy")
_SLAVE_NEEDS: Final = ("aiohttp", "psutil")

GROUPS: Final = (
    CommandGroup("master", "Set up and run a master.", "master_api.cli.master", "master_app", "master", _MASTER_NEEDS),
    CommandGroup(
        "group", "Form the master's group and look at it.", "master_api.cli.group", "group_app", "master", _MASTER_NEEDS
    ),
    CommandGroup(
        "device",
        "Invite, list and revoke the group's devices.",
        "master_api.cli.device",
        "device_app",
        "master",
        _MASTER_NEEDS,
    ),
    CommandGroup("slave", "Join a group as a device, and send.", "slave_client.cli", "app", "slave", _SLAVE_NEEDS),
    CommandGroup(
        "records",
        "Verify, prove and export what devices sent.",
        "master_api.cli.proofs",
        "records_app",
        "master",
        _MASTER_NEEDS,
    ),
    CommandGroup(
        "audit", "Verify the master's audit log.", "master_api.cli.audit", "audit_app", "master", _MASTER_NEEDS
    ),
    CommandGroup(
        "chain", "Deploy the contract and look at the chain.", "chain_gateway.cli", "app", "gateway", _GATEWAY_NEEDS
    ),
    CommandGroup("config", "Check settings files.", "vgroup.config_command", "app", "", ()),
    CommandGroup("doctor", "Look for what is wrong, and say what to do.", "vgroup.doctor", "doctor", "", ()),
    CommandGroup("explain", "Explain an error by its code.", "vgroup.explain", "explain", "", ()),
    CommandGroup(
        "gateway",
        "Serve the chain's register to masters on other machines.",
        "chain_gateway.service.cli",
        "gateway_app",
        "gateway",
        _GATEWAY_NEEDS,
    ),
    CommandGroup(
        "measure",
        "Repeat the paper's experiments on this machine, beside its own figures.",
        "measure.cli",
        "app",
        "measure",
        (*_MASTER_NEEDS, "psutil", "numpy", "matplotlib"),
    ),
    CommandGroup(
        "demo",
        "Form a group on this machine, stream real pulse recordings, attack it, and check what is left.",
        "vgroup.demo.command",
        "demo",
        "demo",
        (*_MASTER_NEEDS, "psutil", "heartpy"),
    ),
)
"""In the order in which ``vgroup --help`` lists them."""
