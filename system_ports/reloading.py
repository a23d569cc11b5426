"""Settings that a running daemon reads anew: what comes into force at once, and what waits for its next start."""

from dataclasses import dataclass, fields, replace
from typing import Generic

from system_ports.settings import C


@dataclass(frozen=True, slots=True)
class Reloaded(Generic[C]):
    """What came of a reload.

    Attributes:
        config: The settings in force from now on.
        changed: Names of the settings that changed.
        waiting: Names of those that need a restart; they are named at each reload until then.
    """

    config: C
    changed: tuple[str, ...]
    waiting: tuple[str, ...]

    def as_fields(self) -> dict[str, str]:
        """For the log."""
        return {"changed": ",".join(self.changed), "need_restart": ",".join(self.waiting)}


def take_reloadable(held: C, wanted: C, reloadable: frozenset[str]) -> Reloaded[C]:
    """The settings held, with those of the wanted ones that may change while the daemon runs."""
    differing = {item.name for item in fields(held) if getattr(held, item.name) != getattr(wanted, item.name)}
    changed = differing & reloadable
    config = replace(held, **{name: getattr(wanted, name) for name in changed})
    return Reloaded(config, tuple(sorted(changed)), tuple(sorted(differing - reloadable)))
