"""What Service Bus answers when it refuses, with Azure's conditions and wording."""

from emulator.amqp.node import AmqpError

LOCK_LOST = "com.microsoft:message-lock-lost"
MESSAGE_NOT_FOUND = "com.microsoft:message-not-found"
ENTITY_DISABLED = "com.microsoft:entity-disabled"
NOT_FOUND = "amqp:not-found"
NOT_IMPLEMENTED = "amqp:not-implemented"


def lock_lost() -> AmqpError:
    return AmqpError(
        LOCK_LOST,
        "The lock supplied is invalid. Either the lock expired, or the message has already "
        "been removed from the queue. Receive the message again.",
    )


def message_not_found() -> AmqpError:
    return AmqpError(MESSAGE_NOT_FOUND, "Failed to lock one or more specified messages.")


def entity_not_found(name: str) -> AmqpError:
    return AmqpError(
        NOT_FOUND, f"The messaging entity '{name}' could not be found. Create the queue first."
    )


def entity_disabled(name: str, action: str) -> AmqpError:
    return AmqpError(
        ENTITY_DISABLED,
        f"Messaging entity '{name}' is currently disabled for {action}. Set its status to Active.",
    )


def entity_changed(name: str) -> AmqpError:
    """What open links are told where a queue's status no longer allows them."""
    return AmqpError(
        "amqp:link:detach-forced",
        f"The link is force detached: the status of '{name}' was changed.",
    )


def quota_exceeded(name: str, size: int, maximum: int) -> AmqpError:
    return AmqpError(
        "amqp:resource-limit-exceeded",
        f"The maximum entity size has been reached or exceeded for Queue: '{name}'. Size of entity "
        f"in bytes:{size}, Max entity size in bytes: {maximum}. Receive messages to make room.",
    )


def message_too_large(size: int, maximum: int) -> AmqpError:
    return AmqpError(
        "amqp:link:message-size-exceeded",
        f"The received message (size: {size} bytes) exceeds the limit ({maximum} bytes) "
        "currently allowed on the link.",
    )


def malformed(reason: str) -> AmqpError:
    return AmqpError("amqp:decode-error", f"The message cannot be read: {reason}.")


def bad_argument(reason: str) -> AmqpError:
    return AmqpError("com.microsoft:argument-error", reason)


def not_implemented(what: str) -> AmqpError:
    return AmqpError(NOT_IMPLEMENTED, f"The local Service Bus does not emulate {what}.")
