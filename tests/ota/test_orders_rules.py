"""The rules of a job alone: what any reports, looks and times make of it."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ota.logic import job_rules as rules
from services.ota.logic import reasons
from services.ota.logic.job_rules import Seen
from services.ota.logic.reports import Installed, Report, read_news, read_report
from shared.schemas.jobs import ENDS, Job, JobKind, JobState
from tests.ota.order_world import APP, LIMITS, START
from x400.ota_order import OtaCode

STATES = ("accepted", "downloading", "installing", "succeeded", "failed", "rejected")
REPORTS = st.builds(
    lambda state, percent, error: Report(job="one", state=state, percent=percent, error=error),
    st.sampled_from(STATES),
    st.integers(0, 100),
    st.sampled_from(["", "fell over", "power_lost: at 3 V", "refused: 403", "?"]),
)
LOOKS = st.builds(
    lambda connected, report, version, ordered: Seen(
        connected, 0, report, Installed(APP, version), ordered, None
    ),
    st.booleans(),
    st.none() | REPORTS,
    st.sampled_from(["1.0.0", "1.1.0"]),
    st.sampled_from(["", "one", "other"]),
)
SECONDS = st.sampled_from([0, 1, 61, 301, 3601, 30_000])


def _job() -> Job:
    job = Job(
        id="one",
        user_id="u1",
        kind=JobKind.APP,
        device_id="X400_1",
        paired_at=START,
        app_id="app",
        artifact_id="1.1.0",
        name=APP,
        version="1.1.0",
        size=1,
        md5="",
        sha256="",
        filepath="",
        blob_etag="",
        ordered_by="",
        created_at=START,
        state_at=START,
    )
    return rules.begun(job, START)


def _after(job: Job, seen: Seen, now: datetime) -> Job:
    job = rules.looked_at(job, seen, now, LIMITS)
    return rules.scheduled(rules.ordered(job, seen, now, LIMITS), now, LIMITS)


@given(st.lists(st.tuples(SECONDS, st.one_of(REPORTS, LOOKS)), max_size=60))
def test_whatever_comes_a_job_keeps_its_rules(life: list[tuple[int, Report | Seen]]) -> None:
    job, now = _job(), START
    for version, (seconds, came) in enumerate(life, start=1):
        now += timedelta(seconds=seconds)
        before = job
        if isinstance(came, Report):
            job = rules.heard(job, came, version, now, LIMITS)
            # Once more, or late, it is no news.
            assert rules.heard(job, came, version, now, LIMITS) is job
            assert rules.heard(job, came, version - 1, now, LIMITS) is job
        else:
            job = _after(job, Seen(**(vars(came) | {"reported_version": version})), now)
        if before.state in ENDS:
            assert (job.state, job.steps, job.reason) == (
                before.state,
                before.steps,
                before.reason,
            )
            continue
        assert 1 <= before.attempt <= job.attempt <= LIMITS.attempts
        assert len(job.steps) <= rules.MAX_STEPS
        assert job.steps[-1].state is job.state
        assert (job.finished_at is not None) == (job.state in ENDS)
        if not isinstance(came, Report) and job.state not in ENDS:
            # It is looked at again, later than now, and before its time is over.
            assert job.due_at is not None
            assert now < job.due_at <= START + LIMITS.order_life


@given(st.lists(st.tuples(SECONDS, REPORTS), max_size=10), st.booleans())
def test_a_job_that_is_only_looked_at_ends(life: list[tuple[int, Report]], connected: bool) -> None:
    job, now = _job(), START
    for version, (seconds, report) in enumerate(life, start=1):
        now += timedelta(seconds=seconds)
        job = rules.heard(job, report, version, now, LIMITS)
    seen = Seen(connected, len(life), None, Installed("", ""), "one", None)
    looks = 0
    while job.state not in ENDS:
        job = _after(job, seen, now)
        now = max(now, job.due_at or now)
        looks += 1
        assert looks < 60
    assert job.reason.endswith(".")


def test_an_expired_address_costs_no_attempt() -> None:
    seen = Seen(True, 1, None, Installed("", ""), "", None)
    job = _after(_job(), seen, START)
    assert (job.state, job.attempt) == (JobState.SENT, 1)
    later = START + LIMITS.ticket_life
    refused = Report(job="one", state=JobState.FAILED, error="refused: 403")
    job = rules.heard(job, refused, 2, later, LIMITS)
    assert (job.state, job.attempt, job.reason) == (JobState.QUEUED, 1, reasons.EXPIRED_ADDRESS)
    fresh = _after(job, Seen(True, 2, refused, Installed("", ""), "one", None), later)
    assert fresh.ticket_expires_at == later + LIMITS.ticket_life


def test_only_a_refused_download_is_one_of_an_expired_address() -> None:
    job = _after(_job(), Seen(True, 1, None, Installed("", ""), "", None), START)
    later = START + LIMITS.ticket_life
    told = Report(job="one", state=JobState.FAILED, error="power_lost: while writing")
    job = rules.heard(job, told, 2, later, LIMITS)
    assert job.attempt == 2
    assert "lost its power" in job.reason


def test_a_failure_that_the_twin_still_shows_is_no_failure_of_the_next_attempt() -> None:
    job = _after(_job(), Seen(True, 1, None, Installed("", ""), "", None), START)
    told = Report(job="one", state=JobState.FAILED, error="download_failed", at="12:00:00.1")
    job = rules.heard(job, told, 2, START, LIMITS)
    now = START + LIMITS.pause(1)
    away = Seen(False, 2, told, Installed("", ""), "one", None)
    job = _after(job, away, now)
    assert (job.state, job.attempt) == (JobState.SENT, 2)
    # It connects again and reports something else.
    back = Seen(True, 3, told, Installed("", ""), "one", None)
    job = _after(rules.connected(job), back, now)
    assert (job.state, job.attempt) == (JobState.SENT, 2)
    again = told.model_copy(update={"at": "12:00:30.2"})
    assert rules.heard(job, again, 4, now, LIMITS).attempt == 3


@pytest.mark.parametrize("state", ["sent", "downloading", "installing"])
def test_a_gateway_that_goes_away_is_why_a_job_stands_still(state: str) -> None:
    job = _after(_job(), Seen(True, 1, None, Installed("", ""), "", None), START)
    if state != "sent":
        report = Report.model_validate({"job": "one", "state": state, "percent": 50})
        job = rules.heard(job, report, 2, START, LIMITS)
    assert (job.state, job.reason) == (state, "")
    away = Seen(False, 2, None, Installed("", ""), "one", job.ticket_expires_at, START)
    now = job.due_at or START
    job = _after(job, away, now)
    assert (job.state, job.steps[-1].reason) == (state, job.reason)
    does = "gets the order" if state == "sent" else "goes on"
    assert job.reason == (
        "The gateway is not connected, last heard of at 2026-03-01 00:00 UTC; "
        f"it {does} when it connects, until 2026-03-02 00:00 UTC."
    )
    assert job.answer_by is None
    late = _after(job, away, START + LIMITS.order_life)
    assert "Look at its power and its connection" in late.reason
    told = Report(job="one", state=JobState.DOWNLOADING, percent=60)
    assert rules.heard(job, told, 3, now, LIMITS).reason == ""
    back = Seen(True, 2, None, Installed("", ""), "one", job.ticket_expires_at)
    assert _after(rules.connected(job), back, now).reason == ""


def test_a_job_says_until_when_it_waits_and_for_what() -> None:
    here = Seen(True, 1, None, Installed("", ""), "", None)
    job = _after(_job(), here, START)
    assert (job.state, job.answer_by) == (JobState.SENT, START + LIMITS.answer_wait)
    assert job.expires_at == START + LIMITS.order_life
    told = Report(job="one", state=JobState.FAILED, error="busy")
    job = rules.scheduled(rules.heard(job, told, 2, START, LIMITS), START, LIMITS)
    assert (job.state, job.answer_by) == (JobState.QUEUED, None)
    assert job.retry_at == START + LIMITS.retry_first
    job = rules.ended(job, JobState.CANCELLED, "", START)
    assert (job.retry_at, job.answer_by) == (None, None)


def test_a_download_that_is_installed_was_whole() -> None:
    told = [
        Report(job="one", state=JobState.DOWNLOADING, percent=65),
        Report(job="one", state=JobState.INSTALLING, percent=100),
    ]
    job = _job()
    for version, report in enumerate(told, 1):
        job = rules.heard(job, report, version, START, LIMITS)
    shown = [(step.state, step.percent) for step in job.steps[1:]]
    assert shown == [(JobState.DOWNLOADING, 100), (JobState.INSTALLING, 100)]


def test_a_gateway_that_goes_away_when_it_has_installed_is_waited_for() -> None:
    told = Report(job="one", state=JobState.SUCCEEDED)
    job = rules.heard(_job(), told, 2, START, LIMITS)
    job = _after(job, Seen(False, 2, told, Installed("", ""), "one", None), START)
    assert job.reason == reasons.WAITS_FOR_VERSION


def test_a_gateway_that_was_registered_anew_is_listened_to() -> None:
    told = Report(job="one", state=JobState.ACCEPTED)
    job = rules.heard(_job(), told, 900, START, LIMITS)
    told = Report(job="one", state=JobState.DOWNLOADING, percent=25)
    job = _after(job, Seen(True, 1, told, Installed("", ""), "one", None), START)
    assert job.state is JobState.DOWNLOADING


def test_pauses_double() -> None:
    pauses = [LIMITS.pause(attempt).total_seconds() for attempt in (1, 2, 3)]
    assert pauses == [10, 20, 40]


def test_what_a_gateway_says_in_error_becomes_a_sentence() -> None:
    assert reasons.rejected("too_large: 300 KiB") == (
        "It is larger than the gateway's memory for it; make it smaller (300 KiB)."
    )
    assert reasons.rejected("") == "The gateway gave no reason."
    assert reasons.rejected("oops\n" + "x" * 1000).startswith("The gateway says: oops x")
    assert len(reasons.rejected("x" * 1000)) < 250


def test_time_spans_are_words() -> None:
    spans = {1: "1 second", 60: "1 minute", 90: "90 seconds", 300: "5 minutes", 604_800: "7 days"}
    assert {seconds: reasons.duration(timedelta(seconds=seconds)) for seconds in spans} == spans


@given(st.binary(max_size=60) | st.sampled_from([b'"ota_app"', b'{"tags":[', b'["ota_app"]']))
def test_any_body_of_an_event_is_read(body: bytes) -> None:
    assert read_news("twinChangeEvents", "updateTwin", body) is None


@settings(max_examples=30)
@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_any_report_that_is_none_is_passed_over(value: object) -> None:
    assert read_report(JobKind.APP, {"ota_app": value}) is None


def test_events_are_told_apart() -> None:
    assert read_news("Telemetry", "", b'{"properties":{"reported":{"ota_app":{}}}}') is None
    assert read_news("deviceConnectionStateEvents", "deviceDisconnected", b"{}") is None
    came = read_news("deviceConnectionStateEvents", "deviceConnected", b"{}")
    assert came is not None
    assert came.connected
    other = b'{"properties":{"reported":{"connectivity":"2G","$version":4}}}'
    assert read_news("twinChangeEvents", "updateTwin", other) is None
    mine = b'{"properties":{"reported":{"ota_app":{"job":"a","state":"accepted"},"$version":4}}}'
    news = read_news("twinChangeEvents", "updateTwin", mine)
    assert news is not None
    assert (news.version, news.look, list(news.reports)) == (4, False, [JobKind.APP])


def test_what_gateways_report_is_told_and_nothing_else() -> None:
    assert reasons.CODES.keys() == set(OtaCode)
