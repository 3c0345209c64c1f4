"""Print what arrives on an account's queue.

    python examples/python/read_queue.py 'Endpoint=sb://…;EntityPath=user-…'

Needs azure-servicebus. A message is removed from the queue once its body is printed.
"""

import sys

from azure.servicebus import ServiceBusClient, parse_connection_string
from azure.servicebus.exceptions import ServiceBusError

PROPERTIES = ("iothub-connection-device-id", "device_name", "mid", "user_route")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"{__doc__}\nThe connection string stands on the card that `make run` prints.")
    connection = sys.argv[1]
    try:
        queue = parse_connection_string(connection).entity_path
    except ValueError:
        queue = None
    if not queue:
        sys.exit("No queue's connection string, which ends in ;EntityPath=…: copy it whole.")

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
    try:
        main()
    except KeyboardInterrupt:
        pass
    except ServiceBusError as error:
        sys.exit(f"Service Bus: {error.message}")
