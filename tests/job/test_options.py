"""Every limit of a submission, at its edges, with the code that programs rely on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ironforge.errors import InvalidJob
from ironforge.job import options
from ironforge.job.options import Options, validate_options
from ironforge.job.record import Priority, created_ms_of


def refused(**given: object) -> tuple[str, str | None]:
    with pytest.raises(InvalidJob) as caught:
        validate_options(**given)
    return caught.value.code, caught.value.field


def test_nothing_given_means_the_defaults():
    assert validate_options() == Options(Priority.MEDIUM, "default")


def test_given_values_arrive_in_record_units():
    assert validate_options(priority=Priority.LOW).priority is Priority.LOW
    expected = Options(Priority.HIGH, "mail", 5, 1_500, 0, 250, None)
    actual = validate_options(
        priority="high",
        queue="mail",
        max_retries=5,
        timeout_seconds=1.5,
        retain_seconds=0,
        delay_seconds=0.25,
    )
    assert actual == expected


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("max_retries", 0, 1_000),
        ("timeout_seconds", 0.001, 604_800),
        ("delay_seconds", 0, 365 * 86_400),
        ("retain_seconds", 0, 604_800),
    ],
)
def test_both_bounds_are_allowed_and_the_next_value_is_not(field, low, high):
    code = "invalid_delay" if field == "delay_seconds" else "out_of_range"
    validate_options(**{field: low})
    validate_options(**{field: high})
    assert refused(**{field: low - 1}) == (code, field)
    assert refused(**{field: high + 1}) == (code, field)
    assert refused(**{field: 10**400}) == (code, field)


@pytest.mark.parametrize("field", ["timeout_seconds", "retain_seconds", "delay_seconds"])
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
        options.check_kind(name)
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
    assert validate_options(run_at=moment).run_at_ms == expected
    assert validate_options(run_at=elsewhere.isoformat()).run_at_ms == expected


def test_a_time_in_the_past_is_due_at_once_and_one_too_far_ahead_is_refused():
    assert validate_options(run_at="1970-01-01T00:00:00Z").run_at_ms == 0
    assert refused(run_at=datetime.now(UTC) + timedelta(days=366)) == ("invalid_delay", "run_at")
    assert refused(run_at=datetime.max.replace(tzinfo=UTC)) == ("invalid_delay", "run_at")
    assert refused(run_at="9999-12-31T23:59:59-14:00") == ("invalid_delay", "run_at")


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"])
def test_a_time_before_all_clocks_is_due_at_once_like_any_other_in_the_past(text):
    assert validate_options(run_at=text).run_at_ms == 0


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
    assert validate_options(run_at=same).run_at_ms == validate_options(run_at=text).run_at_ms


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
        validate_options(run_at=text)
    assert reason in str(caught.value)


def test_a_leap_second_needs_a_zone_as_every_time_does():
    assert refused(run_at="2016-12-31T23:59:60") == ("timezone_required", "run_at")


def test_a_time_too_far_ahead_is_told_with_the_bound():
    with pytest.raises(
        InvalidJob, match=r"run_at 2999-01-01T00:00:00\+00:00 is out of range: at most 365 days ahead, now"
    ):
        validate_options(run_at="2999-01-01T00:00:00Z")


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
        validate_options(**given)
    assert message == str(caught.value)


def test_delay_and_time_exclude_each_other():
    assert refused(delay_seconds=1, run_at=datetime.now(UTC)) == ("invalid_delay", "run_at")


def test_a_payload_of_one_mebibyte_is_allowed_and_a_byte_more_is_not():
    assert len(options.check_payload_size(bytes(options.MAX_PAYLOAD_BYTES))) == options.MAX_PAYLOAD_BYTES
    with pytest.raises(InvalidJob, match="1048577 bytes") as caught:
        options.check_payload_size(bytes(options.MAX_PAYLOAD_BYTES + 1))
    assert caught.value.code == "payload_too_large"


@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb"])
def test_a_malformed_idempotency_key_is_refused(key):
    with pytest.raises(InvalidJob) as caught:
        options.check_idempotency_key(key)
    assert caught.value.code == "invalid_idempotency_key"


def test_an_idempotency_key_is_text():
    assert options.check_idempotency_key(None) is None
    assert options.check_idempotency_key("k" * 255) == "k" * 255
    with pytest.raises(InvalidJob, match="must be text, not int"):
        options.check_idempotency_key(7)


def test_a_delayed_job_knows_when_it_may_start():
    delayed = validate_options(delay_seconds=1.5).job("a.b", b"{}")
    assert delayed.ready_ms == delayed.created_ms + 1_500
    assert validate_options(run_at="1970-01-01T00:00:01Z").job("a.b", b"{}").ready_ms == 1_000
    assert validate_options().job("a.b", b"{}").ready_ms == 0


def test_a_new_job_was_created_when_its_id_says():
    job = validate_options(max_retries=2).job("a.b", b"{}")
    assert job.created_ms == created_ms_of(job.id)
    assert job.kind == "a.b"
    assert job.queue == "default"
    assert job.priority == 2
    assert job.max_retries == 2
    assert job.payload == b"{}"


def test_a_fairness_key_has_a_weight_of_one_unless_given():
    assert tuple(validate_options(fairness_key="a.b-1"))[-2:] == ("a.b-1", 1)
    assert tuple(validate_options(fairness_key="a", fairness_weight=100))[-2:] == ("a", 100)
    assert refused(fairness_key="a b") == ("invalid_fairness_key", "fairness_key")
    assert refused(fairness_key="a", fairness_weight=1.5) == ("invalid_type", "fairness_weight")
    assert refused(fairness_weight=2) == ("missing_field", "fairness_key")


@pytest.mark.parametrize("field", ["timeout_seconds", "retain_seconds", "delay_seconds"])
@pytest.mark.parametrize("seconds", [0.001, 1.5, 604_800])
def test_a_duration_is_its_seconds(field, seconds):
    assert validate_options(**{field: timedelta(seconds=seconds)}) == validate_options(**{field: seconds})


def test_a_duration_out_of_range_is_refused_in_seconds():
    with pytest.raises(InvalidJob, match="delay_seconds -1 is out of range"):
        validate_options(delay_seconds=timedelta(seconds=-1))
