"""Print what arrives on an account's queue.

    python examples/python/read_queue.py 'Endpoint=sb://…;EntityPath=user-…'

Needs azure-servicebus. A message is removed from the queue once its body is printed.
"""

import contextlib
import sys

from azure.servicebus import ServiceBusClient, parse_connection_string

PROPERTIES = ("iothub-connection-device-id", "device_name", "mid", "user_route")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"{__doc__}\nThe connection string stands on the card that `make run` prints.")
    connection = sys.argv[1]
    queue = parse_connection_string(connection).entity_path
    if not queue:
        sys.exit("The connection string has no ;EntityPath=… at its end: copy it whole.")

    with (
        ServiceBusClient.from_connection_string(connection) as client,
        client.get_queue_receiver(queue) as receiver,
    ):
        print(f"Waiting for messages on {queue}; Ctrl-C ends.", file=sys.stderr)
        for message in receiver:
            properties = {
                str(key, "utf-8") if isinstance(key, bytes) else key: value
                for key, value in (message.application_properties or {}).items()
            }
            for name in PROPERTIES:
                if name in properties:
                    value = properties[name]
                    text = value.decode() if isinstance(value, bytes) else value
                    print(f"{name}: {text}")
            sys.stdout.flush()
            sys.stdout.buffer.write(b"".join(message.body) + b"\n\n")
            sys.stdout.buffer.flush()
            receiver.complete_message(message)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
