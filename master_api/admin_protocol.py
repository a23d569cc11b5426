"""Operations by name, and errors as JSON: what travels over the admin socket.

``POST /operations/NAME`` with a JSON object of arguments is answered 200 ``{"result": …}`` or 409 ``{"error":
{"kind", "message", "remedy", "detail", "code"}}``.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping

from group_protocol.error_codes import ErrorCode, find_code
from group_protocol.errors import (
    ConfigurationError,
    ContractRefusal,
    Reason,
    RefusedError,
    RegistryInconsistent,
    RegistryUnavailable,
    StoreError,
    VirtualGroupError,
)
from master_api.audit import AuditBroken
from master_api.descriptions import JsonObject
from master_api.operations import Operations

OPERATIONS: Mapping[str, Callable[..., Awaitable[JsonObject]]] = {
    "group.create": Operations.create_group,
    "group.show": Operations.show_group,
    "device.invite": Operations.invite_device,
    "device.invite_many": Operations.invite_devices,
    "device.list": Operations.list_devices,
    "device.revoke": Operations.revoke_device,
    "device.ban": Operations.ban_device,
    "device.unban": Operations.lift_ban,
    "records.verify": Operations.verify_records,
    "records.anchor": Operations.anchor_records,
    "records.anchors": Operations.list_anchors,
    "records.prove": Operations.prove_record,
    "records.messages": Operations.list_messages,
    "audit.verify": Operations.verify_audit,
    "master.status": Operations.status,
}
_PLAIN_KINDS = (ConfigurationError, RegistryInconsistent, RegistryUnavailable, StoreError)


async def run_operation(operations: Operations, name: str, arguments: object) -> JsonObject:
    """Run an operation by its name.

    Raises:
        ConfigurationError: There is no such operation, or it takes other arguments.
    """
    operation = OPERATIONS.get(name)
    if operation is None:
        raise ConfigurationError(f"there is no operation {name!r}", code=ErrorCode.VERSIONS_DIFFER)
    try:
        bound = inspect.signature(operation).bind(operations, **arguments)  # type: ignore[arg-type] # checked right here
    except TypeError as exc:
        raise ConfigurationError(
            f"operation {name!r} does not take these arguments: {exc}", code=ErrorCode.VERSIONS_DIFFER
        ) from exc
    return await operation(*bound.args, **bound.kwargs)


def error_to_json(error: VirtualGroupError) -> JsonObject:
    """An error as it travels."""
    detail = None
    if isinstance(error, RefusedError):
        detail = int(error.reason)
    elif isinstance(error, AuditBroken):
        detail = error.number
    return {
        "kind": type(error).__name__,
        "message": str(error),
        "remedy": error.remedy,
        "detail": detail,
        "code": error.code,
    }


def error_from_json(fields: Mapping[str, object]) -> VirtualGroupError:
    """The error again, of the same kind where the kind is known."""
    kind, message, remedy = str(fields.get("kind")), str(fields.get("message")), str(fields.get("remedy") or "")
    detail, code = fields.get("detail"), find_code(fields.get("code"))
    if isinstance(detail, int):
        if kind == AuditBroken.__name__:
            return AuditBroken(detail, message.partition(": ")[2])
        refusal = ContractRefusal if kind == ContractRefusal.__name__ else RefusedError
        return refusal(Reason(detail), message, remedy=remedy, code=code)
    for plain in _PLAIN_KINDS:
        if kind == plain.__name__:
            return plain(message, remedy=remedy, code=code)
    return VirtualGroupError(message, remedy=remedy, code=code)
