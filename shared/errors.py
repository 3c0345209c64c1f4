"""Errors that carry the HTTP status they answer with. Logic raises them, edges render them."""


class MyMoteError(Exception):
    """Something went wrong that the caller can be told about in one sentence.

    `retry_after`: when to try again, in seconds, where that helps and is known.
    """

    status = 500
    retry_after: int | None = None


class InvalidRequest(MyMoteError):
    """The request cannot be understood: 400."""

    status = 400


class Unauthorized(MyMoteError):
    """Unknown account or wrong key; the answer is the same for both: 401."""

    status = 401


class Forbidden(MyMoteError):
    """Whoever calls is known and may not do this: 403."""

    status = 403


class NotFound(MyMoteError):
    """It does not exist, or belongs to another account: 404."""

    status = 404


class TooSlow(MyMoteError):
    """A request whose body did not arrive in time: 408."""

    status = 408


class Conflict(MyMoteError):
    """It contradicts what is there already: 409."""

    status = 409


class Changed(MyMoteError):
    """It is no longer what the caller's If-Match says: 412."""

    status = 412


class TooLarge(MyMoteError):
    """A body above its limit: 413."""

    status = 413


class UnsupportedMedia(MyMoteError):
    """A body of a type that the call does not take: 415."""

    status = 415


class TooMany(MyMoteError):
    """A limit of the platform is reached; trying later helps: 429."""

    status = 429

    def __init__(self, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class NotAvailable(MyMoteError):
    """This installation does not have the part that would answer: 501."""

    status = 501


class Unavailable(MyMoteError):
    """A service behind this one does not answer; trying again helps: 503."""

    status = 503
