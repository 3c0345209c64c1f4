"""Places for downloads: so many at once in all, and not all of them for one account."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared.errors import TooMany, Unavailable

ACCOUNT_RETRY_SECONDS = 10


@dataclass(frozen=True, eq=False)
class _Place:
    account: str
    job_id: str
    end: Callable[[], None]


@dataclass(frozen=True)
class Places:
    """Those of one process; what is counted is bounded, so it is counted anew each time.

    `at_once`: in all, since each may hold two chunks of its own in memory. `of_account`: of one
    account's files. `of_job`: of one job, whose gateway needs one, and two for a moment where it
    resumes before its former connection is known to be dead.
    """

    at_once: int
    of_account: int
    of_job: int
    _taken: dict[_Place, None] = field(default_factory=dict)  # the oldest first

    @contextmanager
    def taken(self, account: str, job_id: str, end: Callable[[], None]) -> Iterator[None]:
        """A place until the block ends. Raises TooMany and Unavailable.

        A job that has all its own loses its oldest one, `end` of which is called: a gateway that
        comes back has no use for it, and must not wait until dead connections are given up.
        `job_id`: "" for a download by key.
        """
        if job_id:
            self._make_room(job_id)
        if sum(each.account == account for each in self._taken) >= self.of_account:
            raise TooMany(
                f"{self.of_account} downloads of this account's files are under way, which is its "
                "share; try again in a few seconds.",
                ACCOUNT_RETRY_SECONDS,
            )
        if len(self._taken) >= self.at_once:
            raise Unavailable("Too many downloads are under way; try again in a few seconds.")
        place = _Place(account, job_id, end)
        self._taken[place] = None
        try:
            yield
        finally:
            self._taken.pop(place, None)

    def _make_room(self, job_id: str) -> None:
        of_job = [each for each in self._taken if each.job_id == job_id]
        for oldest in of_job[: max(len(of_job) + 1 - self.of_job, 0)]:
            del self._taken[oldest]
            oldest.end()
