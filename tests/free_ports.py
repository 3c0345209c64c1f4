"""Ports for a stack of a test's own."""

import random
import socket

# Below the range that operating systems hand out to outgoing connections, so that none of those
# takes a port between this look and the server's start.
FIRST, LAST = 12_000, 31_000


def free_ports(count: int) -> list[int]:
    """That many ports on 127.0.0.1 which nobody listens on now."""
    ports: list[int] = []
    for port in random.sample(range(FIRST, LAST), LAST - FIRST):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("no free ports")
