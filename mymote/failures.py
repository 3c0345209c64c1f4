"""How a command ends when it cannot do what was asked: a sentence and an exit status."""

FAILED = 1
USAGE = 2  # wrong arguments, or nothing says where to call and as whom
UNAUTHORIZED = 3  # who calls is unknown, or may not do this
NOT_FOUND = 4
CONFLICT = 5  # it contradicts what is there, or changed in the meantime
INTERRUPTED = 130  # as shells have it: 128 and SIGINT

_STATUSES = {
    400: USAGE,
    401: UNAUTHORIZED,
    403: UNAUTHORIZED,
    404: NOT_FOUND,
    405: USAGE,
    409: CONFLICT,
    412: CONFLICT,
    413: USAGE,
    415: USAGE,
}


class Failure(Exception):
    """A sentence for stderr that says what to do next, and the exit status."""

    def __init__(self, sentence: str, status: int = FAILED) -> None:
        super().__init__(sentence)
        self.status = status


def usage(sentence: str) -> Failure:
    """Wrong arguments or a wrong configuration."""
    return Failure(sentence, USAGE)


def exit_status(http_status: int) -> int:
    """The exit status for an HTTP status that refuses."""
    return _STATUSES.get(http_status, FAILED)
