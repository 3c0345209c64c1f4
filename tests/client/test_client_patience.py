"""What the client repeats and what it does not, against a server that answers as it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.client.command_line import CommandLine

Answer = tuple[int, dict[str, str], bytes]

OK: Answer = (200, {}, b'{"result": "queued"}')
LATER = (429, {"Retry-After": "0"}, b'{"error": "Too many calls."}')
MUCH_LATER = (429, {"Retry-After": "900"}, b'{"error": "Too many calls."}')
AWAY = (503, {"Retry-After": "0"}, b'{"error": "The database does not answer."}')
STILL_RUNNING = (409, {"Retry-After": "0"}, b'{"error": "This very order is being carried out."}')
CONFLICT: Answer = (409, {}, b'{"error": "It is not connected."}')
CUT_OFF: Answer = (0, {}, b"")

DEVICE = f"X400_{'a' * 40}"


@dataclass
class Server:
    """`answers` are given in turn, the last one from then on."""

    answers: list[Answer]
    port: int = 0
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def client(self, folder: Path) -> CommandLine:
        return CommandLine(
            folder,
            {
                "MYMOTE_URL": f"http://127.0.0.1:{self.port}",
                "MYMOTE_USER_ID": "u1",
                "MYMOTE_API_KEY": "k" * 64,
            },
        )


@contextmanager
def answering(*answers: Answer) -> Iterator[Server]:
    served = Server(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            served.asked.append((self.command, self.path, self.headers.get("Idempotency-Key")))
            assert self.headers["X-API-Key"] == "k" * 64
            status, headers, body = served.next()
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PATCH = do_GET  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


async def test_an_order_is_repeated_under_the_same_idempotency_key(tmp_path: Path) -> None:
    with answering(AWAY, CUT_OFF, OK) as server:
        ran = await server.client(tmp_path)("device", "reboot", DEVICE, "--yes")
    assert ran.status == 0, ran
    assert len(server.asked) == 3
    assert len({key for _, _, key in server.asked}) == 1
    assert server.asked[0][2]
    assert server.asked[0][1] == f"/api/user/u1/-/devices/{DEVICE}/reboot"


async def test_an_order_that_still_runs_is_waited_for_and_a_conflict_is_not(tmp_path: Path) -> None:
    order = ("device", "reboot", DEVICE, "--yes")
    with answering(CUT_OFF, STILL_RUNNING, OK) as server:
        ran = await server.client(tmp_path)(*order)
    assert (ran.status, len(server.asked)) == (0, 3)
    with answering(CONFLICT) as server:
        ran = await server.client(tmp_path)(*order)
    assert (ran.status, len(server.asked)) == (5, 1)


async def test_what_may_have_been_done_is_not_repeated(tmp_path: Path) -> None:
    for answer in (AWAY, CUT_OFF):
        with answering(answer) as server:
            ran = await server.client(tmp_path)("account", "edit", "--email", "a@example.com")
        assert ran.status == 1
        assert len(server.asked) == 1


async def test_what_was_refused_for_its_rate_is_repeated(tmp_path: Path) -> None:
    with answering(LATER, OK) as server:
        ran = await server.client(tmp_path)("account", "edit", "--email", "a@example.com")
    assert ran.status == 0, ran
    assert len(server.asked) == 2


async def test_patience_ends(tmp_path: Path) -> None:
    with answering(MUCH_LATER) as server:
        ran = await server.client(tmp_path)("account", "show")
    assert (ran.status, len(server.asked)) == (1, 1)
    assert "900 s" in ran.errors
