"""Calls of the REST API: the key in the header, patience where a repetition is safe, clear ends."""

import random
import ssl
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import httpx

from mymote.failures import FAILED, Failure, exit_status, usage
from mymote.operations import OPERATIONS, Operation
from mymote.profiles import Place

Entity = dict[str, Any]
Query = Mapping[str, object]

ATTEMPTS = 5
PATIENCE_SECONDS = 60.0  # of waiting between the attempts, in all
READ_SECONDS = 100.0  # a bulk order may take long
CONNECT_SECONDS = 10.0
HURRIED_SECONDS = 1.0
PAGE = 200  # what the api gives at most
RETRY_LATER = (429, 503)
CONFLICT = 409


class Body(NamedTuple):
    """What a call sends; a stream can be sent once only."""

    content: bytes | Iterable[bytes]
    type: str


class Api:
    """One installation, called as one account, in a `with`.

    Hurried, it gives up after a second: somebody waits for a completion.
    """

    def __init__(self, place: Place, *, hurried: bool = False) -> None:
        self.place = place
        self._attempts = 1 if hurried else ATTEMPTS
        self._client = httpx.Client(
            base_url=place.url,
            headers={"User-Agent": "mymote", "Accept": "application/json"},
            timeout=httpx.Timeout(HURRIED_SECONDS)
            if hurried
            else httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            verify=_trust(place),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def call(
        self,
        operation: str,
        *,
        query: Query | None = None,
        json: object = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        **path: str,
    ) -> Any:
        """The reply's JSON. Raises Failure."""
        return entity(
            self.order(operation, query=query, json=json, body=body, headers=headers, **path)
        )

    def order(
        self,
        operation: str,
        *,
        query: Query | None = None,
        json: object = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        **path: str,
    ) -> httpx.Response:
        """The reply itself, for whoever needs its headers. Raises Failure."""
        known = OPERATIONS[operation]
        return self.send(
            known.method,
            self._path(known, path),
            query=query,
            json=json,
            body=body,
            headers=headers,
            once=known.once,
        )

    def each(
        self, operation: str, *, query: Query | None = None, limit: int | None = None, **path: str
    ) -> Iterator[Entity]:
        """A list's entities, `limit` at most; pages are fetched as they are needed.

        Raises Failure.
        """
        left, cursor = limit, ""
        while left is None or left > 0:
            given = {name: value for name, value in (query or {}).items() if value != ""}
            if cursor:
                given["cursor"] = cursor
            asked = {**given, "limit": min(PAGE, left or PAGE)}
            page = entity(
                self.order(operation, query=asked, json=None, body=None, headers=None, **path)
            )
            yield from page["items"][:left]
            cursor = page["next"]
            if left is not None:
                left -= len(page["items"])
            if not cursor:
                return

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: object = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> httpx.Response:
        """A reply that is no refusal. `path` begins with /api/. Raises Failure.

        What is safe to repeat is repeated a few times where the api asks for patience.
        """
        request = self._request(
            method, path, query=query, json=json, body=body, headers=headers, once=once
        )
        repeatable = body is None or isinstance(body.content, bytes)
        safe = repeatable and (method in ("GET", "HEAD") or once)
        waited = 0.0
        for attempt in range(1, self._attempts + 1):
            try:
                response = self._client.send(request)
            except httpx.TransportError as error:
                if not safe or attempt == self._attempts or isinstance(error, httpx.ConnectError):
                    raise _unreachable(self.place.url, error) from None
                pause = _backoff(attempt)
            else:
                if response.is_success:
                    return response
                again = _may_repeat(response, safe=safe, repeatable=repeatable)
                pause = _asked_for(response, attempt)
                if not again or attempt == self._attempts or waited + pause > PATIENCE_SECONDS:
                    raise refused(response)
            if pause > 1 and sys.stderr.isatty():
                print(f"The api asks for patience; next attempt in {pause:.0f} s.", file=sys.stderr)
            time.sleep(pause)
            waited += pause
        raise AssertionError("the last attempt returns or raises")

    def absolute(self, path: str) -> str:
        """A path after `/api/user/{userid}/{webapi_key}`, with it. Raises Failure."""
        if path.startswith("/api/"):
            return path
        if not self.place.user_id:
            raise usage("Nobody is signed in. Run `mymote login`.")
        return f"/api/user/{quote(self.place.user_id, safe='')}/-{path}"

    def _path(self, operation: Operation, values: Mapping[str, str]) -> str:
        filled = operation.filled(values)
        return self.absolute(filled) if operation.of_account else filled

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None,
        json: object,
        body: Body | None,
        headers: Mapping[str, str] | None,
        once: bool,
    ) -> httpx.Request:
        sent = {**self.place.headers, **(headers or {})}
        if once:
            sent.setdefault("Idempotency-Key", str(uuid.uuid4()))
        if body:
            sent["Content-Type"] = body.type
        asked = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        try:
            return self._client.build_request(
                method,
                path,
                params=asked,
                headers=sent,
                content=body.content if body else None,
                json=json,
            )
        except (httpx.InvalidURL, UnicodeEncodeError):
            raise usage(
                "This cannot be sent: the URL or the key has characters that none has."
            ) from None


def entity(response: httpx.Response) -> Any:
    """The reply's JSON. Raises Failure."""
    try:
        return response.json()
    except ValueError:
        raise _not_ours(response) from None


def refused(response: httpx.Response) -> Failure:
    """What a refusal says, and what to do about it where the api cannot know that."""
    status = response.status_code
    try:
        sentence = str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return _not_ours(response)
    if status == 401:
        sentence += " `mymote login` signs in anew."
    if status == 429 and "Retry-After" in response.headers:
        sentence += f" (In {response.headers['Retry-After']} s.)"
    return Failure(sentence, exit_status(status))


def _not_ours(response: httpx.Response) -> Failure:
    return Failure(
        f"{response.request.url.host} answers {response.status_code}, and not as MyMote's REST API "
        "does. Is the URL right?",
        exit_status(response.status_code) if response.status_code != 404 else FAILED,
    )


def _unreachable(url: str, error: httpx.TransportError) -> Failure:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return Failure(
            f"{url} shows a certificate that this machine does not trust. If it is your own "
            "authority's, name it: `mymote login --ca-file FILE`, or MYMOTE_CA_FILE."
        )
    if isinstance(error, httpx.TimeoutException):
        return Failure(f"{url} did not answer in time. Is the network there? Try again.")
    if isinstance(error, httpx.ConnectError):
        return Failure(f"{url} cannot be reached ({text}). Is it running, and the network there?")
    return Failure(f"{url} broke the connection off ({text}). Look what was done, and try again.")


def _trust(place: Place) -> ssl.SSLContext:
    if place.url.startswith("http://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is quickly made
    context = httpx.create_ssl_context()
    if place.ca_file:
        try:
            context.load_verify_locations(place.ca_file)
        except OSError:
            raise usage(f"{place.ca_file} is no readable file of certificates (PEM).") from None
    return context


def _may_repeat(response: httpx.Response, *, safe: bool, repeatable: bool) -> bool:
    """Whether the api asks for patience, and a repetition does nothing twice."""
    if response.status_code == CONFLICT:  # with Retry-After: this very order still runs
        return safe and "Retry-After" in response.headers
    # 429 says that nothing was done, 503 does not.
    return response.status_code in RETRY_LATER and (
        safe or (repeatable and response.status_code == 429)
    )


def _asked_for(response: httpx.Response, attempt: int) -> float:
    """Seconds to wait: as long as the api asks for, never in step with others."""
    try:
        asked = float(response.headers.get("Retry-After", ""))
    except ValueError:
        asked = 0.0
    return max(asked, 0.0) + _backoff(attempt)


def _backoff(attempt: int) -> float:
    return random.uniform(0.1, 0.2) * float(2**attempt)  # noqa: S311 - no secret


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
