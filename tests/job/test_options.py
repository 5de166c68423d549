"""Every limit of a submission, at its edges, with the code that programs rely on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ironforge.errors import InvalidJob
from ironforge.job import checks, options
from ironforge.job.options import CheckedOptions, JobOptions, merge, options_of
from ironforge.job.record import Job, Priority, created_ms_of


def checked(**given: object) -> CheckedOptions:
    return options_of(given).checked()


def refused(**given: object) -> tuple[str, str | None]:
    with pytest.raises(InvalidJob) as caught:
        checked(**given)
    return caught.value.code, caught.value.field


def test_nothing_given_means_the_defaults():
    job = checked().job("k", b"{}")
    assert job.queue == "default"
    assert job.priority == Priority.MEDIUM
    assert job.fairness_weight == 1
    assert job.max_retries is None


def test_given_values_arrive_in_record_units():
    assert checked(priority=Priority.LOW).record.priority == Priority.LOW
    actual = checked(
        priority="high",
        queue="mail",
        max_retries=5,
        timeout_seconds=1.5,
        retain_seconds=0,
        delay_seconds=0.25,
    )
    record = Job(1, b"", "", "mail", Priority.HIGH, b"", 0, max_retries=5, timeout_ms=1_500, retain_ms=0)
    assert actual == CheckedOptions(record, delay_ms=250)


def test_a_job_shows_its_options_as_they_were_given():
    given = {
        "priority": "high",
        "queue": "mail",
        "max_retries": 5,
        "timeout_seconds": 1.5,
        "retain_seconds": 60.0,
        "fairness_key": "a",
        "fairness_weight": 2,
    }
    expected = {**options.shown(checked().job("k", b"{}")), **given}
    assert options.shown(checked(**given).job("k", b"{}")) == expected


def test_the_defaults_of_a_kind_hold_where_a_submission_says_nothing():
    merged = merge(JobOptions(priority="high", max_retries=0), JobOptions(priority="low", delay_seconds=1.0))
    assert merged == JobOptions(priority="low", max_retries=0, delay_seconds=1.0)


@pytest.mark.parametrize(
    ("keywords", "struct"), [(options.KindKeywords, options.KindOptions), (options.JobKeywords, JobOptions)]
)
def test_type_checkers_know_every_option(keywords, struct):
    assert tuple(keywords.__annotations__) == struct.__struct_fields__


def test_every_option_has_a_check_and_words():
    assert [option.name for option in options.OPTIONS if not option.description] == []
    assert [option.name for option in options.OPTIONS] == [*JobOptions.__struct_fields__]


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("max_retries", 0, 1_000),
        ("timeout_seconds", 0.001, 604_800),
        ("delay_seconds", 0, 365 * 86_400),
        ("retain_seconds", 0, 604_800),
        ("expires_in_seconds", 0.001, 365 * 86_400),
    ],
)
def test_both_bounds_are_allowed_and_the_next_value_is_not(field, low, high):
    code = "invalid_delay" if field == "delay_seconds" else "out_of_range"
    checked(**{field: low})
    checked(**{field: high})
    assert refused(**{field: low - 1}) == (code, field)
    assert refused(**{field: high + 1}) == (code, field)
    assert refused(**{field: 10**400}) == (code, field)


@pytest.mark.parametrize("field", ["timeout_seconds", "retain_seconds", "delay_seconds", "expires_in_seconds"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none_are_refused(field, value):
    code = "invalid_delay" if field == "delay_seconds" else "out_of_range"
    assert refused(**{field: value}) == (code, field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_retries", "3"),
        ("max_retries", 3.0),
        ("max_retries", True),
        ("timeout_seconds", "1"),
        ("delay_seconds", False),
        ("priority", 1),
        ("queue", 7),
        ("run_at", 1_700_000_000),
        ("run_at", "tomorrow"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(field, value):
    assert refused(**{field: value}) == ("invalid_type", field)


@pytest.mark.parametrize("name", ["", "a:b", "{x}", "../", "a" * 129, "-a", "ä", "a\n", "a b", "a\0"])
def test_names_that_would_break_keys_are_refused(name):
    assert refused(queue=name) == ("invalid_queue_name", "queue")
    with pytest.raises(InvalidJob) as caught:
        checks.check_kind(name)
    assert caught.value.code == "invalid_kind"


@pytest.mark.parametrize("label", ["High", "urgent", "", "1000"])
def test_an_unknown_priority_is_refused(label):
    assert refused(priority=label) == ("invalid_priority", "priority")


def test_a_time_needs_a_zone():
    assert refused(run_at=datetime(2030, 1, 1)) == ("timezone_required", "run_at")  # noqa: DTZ001
    assert refused(run_at="2030-01-01T00:00:00") == ("timezone_required", "run_at")


def test_a_time_is_the_same_moment_in_every_zone():
    moment = datetime.now(UTC).replace(microsecond=250_000) + timedelta(hours=1)
    elsewhere = moment.astimezone(timezone(timedelta(hours=-7)))
    expected = int(moment.timestamp() * 1000)
    assert checked(run_at=moment).run_at_ms == expected
    assert checked(run_at=elsewhere.isoformat()).run_at_ms == expected


def test_a_time_in_the_past_is_due_at_once_and_one_too_far_ahead_is_refused():
    assert checked(run_at="1970-01-01T00:00:00Z").run_at_ms == 0
    assert refused(run_at=datetime.now(UTC) + timedelta(days=366)) == ("invalid_delay", "run_at")
    assert refused(run_at=datetime.max.replace(tzinfo=UTC)) == ("invalid_delay", "run_at")
    assert refused(run_at="9999-12-31T23:59:59-14:00") == ("invalid_delay", "run_at")


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"])
def test_a_time_before_all_clocks_is_due_at_once_like_any_other_in_the_past(text):
    assert checked(run_at=text).run_at_ms == 0


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2001-01-31t12:00:00z", "2001-01-31T12:00:00+00:00"),
        ("2001-01-31T12:00:00.123456789Z", "2001-01-31T12:00:00.123456Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2016-12-31T15:59:60.5-08:00", "2017-01-01T00:00:00.500Z"),
        ("2001-01-31T12:00:00-00:00", "2001-01-31T12:00:00Z"),
    ],
)
def test_a_time_may_be_written_in_every_way_of_rfc_3339(text, same):
    assert checked(run_at=same).run_at_ms == checked(run_at=text).run_at_ms


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tomorrow", "'tomorrow' is not a time (another format): expected ISO 8601 with a year of four digits"),
        ("10000-01-01T00:00:00Z", "expected ISO 8601 with a year of four digits and a zone"),
        ("1700000000", "(another format)"),
        ("2030-01-31", "(a day without a time of day)"),
        ("2030-02-30T00:00:00Z", "(day is out of range for month)"),
        ("2030-01-31T12:00:00+24:00", "(an offset is less than 24 hours)"),
        ("2030-01-31T12:00:00-24:00", "(an offset is less than 24 hours)"),
        ("2030-01-31T12:30:60Z", "(a second 60 is a leap second, and those are at 23:59:60 UTC)"),
        ("9999-12-31T23:59:60Z", "is not a time"),
        ("x" * 1_000_000, f"{'x' * 60!r} is not a time"),
    ],
)
def test_what_is_no_time_says_why(text, reason):
    with pytest.raises(InvalidJob) as caught:
        checked(run_at=text)
    assert reason in str(caught.value)


def test_a_leap_second_needs_a_zone_as_every_time_does():
    assert refused(run_at="2016-12-31T23:59:60") == ("timezone_required", "run_at")


def test_a_time_too_far_ahead_is_told_with_the_bound():
    with pytest.raises(
        InvalidJob, match=r"run_at 2999-01-01T00:00:00\+00:00 is out of range: at most 365 days ahead, now"
    ):
        checked(run_at="2999-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"delay_seconds": 31_536_000.001}, "delay_seconds 31536000.001 is out of range: 0 to 31536000"),
        ({"delay_seconds": 31_536_000.000000004}, "delay_seconds 31536000.000000004 is out of range: 0 to 31536000"),
        ({"timeout_seconds": 0.0009999999999}, "timeout_seconds 0.0009999999999 is out of range: 0.001 to 604800"),
        ({"max_retries": 10**5_000}, "max_retries a huge number is out of range: 0 to 1000"),
        ({"max_retries": -(10**5_000)}, "max_retries a hugely negative number is out of range: 0 to 1000"),
        ({"delay_seconds": 1e300}, "delay_seconds 1e+300 is out of range: 0 to 31536000"),
    ],
)
def test_a_value_out_of_range_is_told_by_every_digit(given, message):
    with pytest.raises(InvalidJob) as caught:
        checked(**given)
    assert message == str(caught.value)


def test_delay_and_time_exclude_each_other():
    assert refused(delay_seconds=1, run_at=datetime.now(UTC)) == ("invalid_delay", "run_at")


def test_what_expires_before_it_may_start_is_refused_whoever_says_so():
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert refused(delay_seconds=2, expires_in_seconds=2) == ("invalid_expiry", "delay_seconds")
    assert refused(run_at=soon, expires_in_seconds=29) == ("invalid_expiry", "run_at")
    kind = checked(expires_in_seconds=10)
    with pytest.raises(InvalidJob, match="expires 10 s after its submission and may not start before 11 s"):
        JobOptions(delay_seconds=11).checked(kind)
    assert JobOptions(delay_seconds=11, expires_in_seconds=12).checked(kind).expires_in_ms == 12_000
    assert JobOptions().checked(kind) == kind


def test_what_expires_is_nothing_for_an_older_node():
    assert [checked(expires_in_seconds=1).record.version, checked().record.version] == [2, 1]


def test_a_payload_of_one_mebibyte_is_allowed_and_a_byte_more_is_not():
    assert len(checks.check_payload_size(bytes(checks.MAX_PAYLOAD_BYTES))) == checks.MAX_PAYLOAD_BYTES
    with pytest.raises(InvalidJob, match="1048577 bytes") as caught:
        checks.check_payload_size(bytes(checks.MAX_PAYLOAD_BYTES + 1))
    assert caught.value.code == "payload_too_large"


@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb"])
def test_a_malformed_idempotency_key_is_refused(key):
    with pytest.raises(InvalidJob) as caught:
        checks.check_idempotency_key(key)
    assert caught.value.code == "invalid_idempotency_key"


def test_an_idempotency_key_is_text():
    assert checks.check_idempotency_key(None) is None
    assert checks.check_idempotency_key("k" * 255) == "k" * 255
    with pytest.raises(InvalidJob, match="must be text, not int"):
        checks.check_idempotency_key(7)


def test_a_delayed_job_knows_when_it_may_start():
    delayed = checked(delay_seconds=1.5).job("a.b", b"{}")
    assert delayed.ready_ms == delayed.created_ms + 1_500
    assert checked(run_at="1970-01-01T00:00:01Z").job("a.b", b"{}").ready_ms == 1_000
    assert checked().job("a.b", b"{}").ready_ms == 0


def test_a_new_job_was_created_when_its_id_says():
    job = checked(max_retries=2).job("a.b", b"{}")
    assert job.created_ms == created_ms_of(job.id)
    assert job.kind == "a.b"
    assert job.queue == "default"
    assert job.priority == 2
    assert job.max_retries == 2
    assert job.payload == b"{}"


def test_a_fairness_key_has_a_weight_of_one_unless_given():
    assert checked(fairness_key="a.b-1").record.fairness_weight == 1
    assert checked(fairness_key="a", fairness_weight=100).record.fairness_weight == 100
    assert refused(fairness_key="a b") == ("invalid_fairness_key", "fairness_key")
    assert refused(fairness_key="a", fairness_weight=1.5) == ("invalid_type", "fairness_weight")
    assert refused(fairness_weight=2) == ("missing_field", "fairness_key")


@pytest.mark.parametrize("field", ["timeout_seconds", "retain_seconds", "delay_seconds"])
@pytest.mark.parametrize("seconds", [0.001, 1.5, 604_800])
def test_a_duration_is_its_seconds(field, seconds):
    assert checked(**{field: timedelta(seconds=seconds)}) == checked(**{field: seconds})


def test_a_duration_out_of_range_is_refused_in_seconds():
    with pytest.raises(InvalidJob, match="delay_seconds -1 is out of range"):
        checked(delay_seconds=timedelta(seconds=-1))
