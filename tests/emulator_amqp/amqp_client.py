"""A client that speaks AMQP frame by frame, to say what no SDK would."""

import asyncio
from typing import Any

from emulator.amqp.codec import decode
from emulator.amqp.frames import AMQP_HEADER, SASL_HEADER, Performative, frame
from emulator.amqp.message import (
    Properties,
    application_properties_section,
    properties_section,
    split,
    value_section,
)
from emulator.amqp.types import Described, Symbol, UByte, UInt, ULong, UShort
from tests import sas

Received = tuple[int, int, list[Any], bytes]  # channel, performative, fields, payload


def sign(resource: str, key: str, rule: str = "RootManageSharedAccessKey", ttl: float = 600) -> str:
    """A shared access signature of the namespace."""
    return sas.sign(resource, key.encode(), rule=rule, ttl=ttl)


class RawClient:
    """One connection; every wait has a limit."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> "RawClient":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @classmethod
    async def open(
        cls, port: int, *, max_frame: int = 65536, idle: int | None = None
    ) -> "RawClient":
        """Through SASL ANONYMOUS and open."""
        client = await cls.connect(port)
        client.writer.write(SASL_HEADER)
        assert await client.exactly(8) == SASL_HEADER
        assert (await client.receive())[1] == Performative.SASL_MECHANISMS
        init = [Symbol("ANONYMOUS"), b"", "localhost"]
        client.writer.write(frame(0, Performative.SASL_INIT, init, kind=1))
        assert (await client.receive())[2][0] == 0
        client.writer.write(AMQP_HEADER)
        assert await client.exactly(8) == AMQP_HEADER
        limit = None if idle is None else UInt(idle)
        client.send(0, Performative.OPEN, ["test", None, UInt(max_frame), UShort(255), limit])
        assert (await client.expect(Performative.OPEN))[2][2] == 65536
        return client

    def send(self, channel: int, code: int, fields: list[Any], payload: bytes = b"") -> None:
        self.writer.write(frame(channel, code, fields, payload=payload))

    async def exactly(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), 30)

    async def receive(self) -> Received:
        """The next frame that is no heartbeat."""
        while True:
            head = await self.exactly(8)
            body = await self.exactly(int.from_bytes(head[:4], "big") - 8)
            if body:
                break
        performative, end = decode(body)
        assert isinstance(performative, Described)
        return (
            int.from_bytes(head[6:], "big"),
            performative.descriptor,
            performative.value,
            body[end:],
        )

    async def expect(self, code: int) -> Received:
        """The next frame of a kind; the others before it are dropped."""
        while True:
            received = await self.receive()
            if received[1] == code:
                return received

    async def closed(self) -> str | None:
        """The condition of the close frame, or None where the socket just closed."""
        try:
            error = (await self.expect(Performative.CLOSE))[2][0]
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        finally:
            self.writer.close()
        return str(error.value[0]) if error else "closed"

    async def begin(self, channel: int = 1, *, window: int = 5000) -> None:
        fields = [None, UInt(0), UInt(window), UInt(window), UInt(255)]
        self.send(channel, Performative.BEGIN, fields)
        await self.expect(Performative.BEGIN)

    def send_attach(
        self,
        handle: int,
        address: str,
        *,
        receives: bool = True,
        channel: int = 1,
        filters: dict[Any, Any] | None = None,
        properties: dict[Any, Any] | None = None,
    ) -> None:
        """Ask for a link."""
        mine = f"client-{handle}"
        source = [address if receives else mine] + [None] * 6 + [filters]
        target = [mine if receives else address]
        fields = [
            f"link-{handle}", UInt(handle), receives, UByte(1 if receives else 0), UByte(0),
            Described(ULong(0x28), source), Described(ULong(0x29), target), None, None,
            None if receives else UInt(0), None, None, None, properties,
        ]  # fmt: skip
        self.send(channel, Performative.ATTACH, fields)

    async def attach(
        self, handle: int, address: str, *, channel: int = 1, **options: Any
    ) -> str | None:
        """Attach a link; the condition of the refusal, or None."""
        self.send_attach(handle, address, channel=channel, **options)
        answer = (await self.expect(Performative.ATTACH))[2]
        if answer[5] is not None:
            return None
        error = (await self.expect(Performative.DETACH))[2][2]
        self.send(channel, Performative.DETACH, [UInt(handle), True, None])
        return str(error.value[0])

    def flow(
        self, handle: int, credit: int, *, count: int = 0, drain: bool = False, window: int = 5000,
        seen: int = 0, channel: int = 1,
    ) -> None:  # fmt: skip
        session = [UInt(seen), UInt(window), UInt(0), UInt(5000)]
        link = [UInt(handle), UInt(count), UInt(credit), None, drain, False, None]
        self.send(channel, Performative.FLOW, session + link)

    def transfer(
        self, handle: int, delivery_id: int, payload: bytes, *, more: bool = False, channel: int = 1
    ) -> None:
        fields = [UInt(handle), UInt(delivery_id), b"tag", UInt(0), False, more]
        self.send(channel, Performative.TRANSFER, fields, payload)

    async def put_token(self, audience: str, token: str, *, handles: tuple[int, int]) -> int:
        """Through `$cbs` on its own pair of links; the status."""
        out, back = handles
        assert await self.attach(out, "$cbs", receives=False) is None
        assert await self.attach(back, "$cbs", receives=True) is None
        self.flow(back, 10)
        request = (
            properties_section(Properties(message_id="1", reply_to=f"client-{back}"))
            + application_properties_section(
                {
                    "operation": "put-token",
                    "type": "servicebus.windows.net:sastoken",
                    "name": audience,
                }
            )
            + value_section(token)
        )
        self.transfer(out, 0, request)
        await self.expect(Performative.DISPOSITION)
        payload = (await self.expect(Performative.TRANSFER))[3]
        status: int = split(payload).read_application_properties()["status-code"]
        return status

    async def authorized(self, audience: str, token: str) -> None:
        """Begin session 1 and open an address, with handles 250 and 251."""
        await self.begin()
        assert await self.put_token(audience, token, handles=(250, 251)) == 200

    async def close(self) -> None:
        self.writer.close()


def selector(expression: str) -> dict[Any, Any]:
    """A filter set with a selector."""
    name = Symbol("apache.org:selector-filter:string")
    return {name: Described(name, expression)}
