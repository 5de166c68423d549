"""The options of a job: each is declared once, in `JobOptions`, with its type, bounds, words and check.

HTTP decodes into this struct and Python converts into it; OpenAPI, the flags of `ironforge submit`, the answers about
a job and its record take from it what they need. A new option is a field here, one with its name at the end of `Job`
where it has to be remembered, and the code that acts on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple, TypedDict, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta

from ironforge.codes import Code
from ironforge.errors import InvalidJob
from ironforge.formats.duration import Duration, seconds_of
from ironforge.formats.suggest import closest
from ironforge.job import checks
from ironforge.job.checked_options import CheckedOptions
from ironforge.job.expiry import MIN_EXPIRY_SECONDS, check_expiry
from ironforge.job.limits import MAX_LIMITS
from ironforge.job.limits_option import Use, check_limits, shown_limits
from ironforge.job.record import FIRST_VERSION, LABELS, MAX_WEIGHT, RECORD_VERSION, Job, Priority, PriorityLabel
from ironforge.job.unique_option import Unique, check_unique, shown_unique

DEFAULT_QUEUE: Final = "default"
DEFAULT_PRIORITY: Final = Priority.MEDIUM
MAX_RETRIES: Final = 1_000
MIN_TIMEOUT_SECONDS: Final = 0.001
MAX_TIMEOUT_SECONDS: Final = 604_800.0
MAX_RETAIN_SECONDS: Final = 604_800.0

Given = TypeVar("Given", bound="JobOptions")


def _option(
    description: str,
    check: Callable[[str, Any], Any],
    shown: Callable[[Any], Any] = lambda value: value,
    *,
    default: Any = None,
    at_door: bool = False,
    **schema: Any,
) -> Meta:
    """`check` makes of the field's name and a value what the record holds, and raises InvalidJob; `shown` is its
    inverse. `default`: what the record holds when the option is not given, unless that is told from any value.
    `at_door`: what the kind says is put into the record at submission; else the node asks the kind when it needs it."""
    extra = {"check": check, "shown": shown, "default": default, "at_door": at_door}
    return Meta(description=description, extra_json_schema=schema, extra=extra)


def _name(description: str, code: Code, default: str | None = None, *, at_door: bool = False) -> Meta:
    def check(field: str, value: object) -> str:
        return checks.check_name(field, value, code)

    pattern = checks.NAME_PATTERN
    return _option(description, check, lambda name: name or None, default=default, at_door=at_door, pattern=pattern)


def _whole(description: str, low: int, high: int, default: int | None = None) -> Meta:
    def check(field: str, value: object) -> int:
        return checks.check_whole(field, value, low, high)

    return _option(description, check, default=default, minimum=low, maximum=high)


def _seconds(description: str, low: float, high: float, code: Code = "out_of_range", *, at_door: bool = False) -> Meta:
    def check(field: str, value: object) -> int:
        return checks.check_duration(field, value, low, high, code)

    def shown(ms: int | None) -> float | None:
        return None if ms is None else ms / 1000

    return _option(description, check, shown, at_door=at_door, minimum=low, maximum=high)


_UNIQUE: Final = _option(
    "no second job of the kind with this key; of a kind, the key is a path into the payload",
    check_unique,
    shown_unique,
    at_door=True,
)
_LIMITS: Final = _option(
    "what the job uses of limits; of a kind, the keys are paths into the payload",
    check_limits,
    shown_limits,
    default=(),
    at_door=True,
    maxItems=MAX_LIMITS,
)


class KindOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What a kind may fix for its jobs, and a submission may override. None: not given."""

    priority: Annotated[
        PriorityLabel | None,
        _option(
            "strict; default: as the kind says, else medium",
            checks.check_priority,
            LABELS.__getitem__,
            default=DEFAULT_PRIORITY.value,
            at_door=True,
        ),
    ] = None
    queue: Annotated[
        str | None,
        _name("default: as the kind says, else default", "invalid_queue_name", DEFAULT_QUEUE, at_door=True),
    ] = None
    max_retries: Annotated[
        int | None, _whole("retries after the first attempt; default: as the kind says", 0, MAX_RETRIES)
    ] = None
    timeout_seconds: Annotated[
        float | None,
        _seconds("time limit of one attempt; default: as the kind says", MIN_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS),
    ] = None
    retain_seconds: Annotated[
        float | None,
        _seconds("how long the job can be looked up after its end; default: as the kind says", 0, MAX_RETAIN_SECONDS),
    ] = None
    expires_in_seconds: Annotated[
        float | None,
        _seconds(
            "cancelled if it has not started this long after its submission; default: never",
            MIN_EXPIRY_SECONDS,
            checks.MAX_DELAY_SECONDS,
            at_door=True,
        ),
    ] = None
    unique: Annotated[Unique | None, _UNIQUE] = None
    limits: Annotated[list[Use] | None, _LIMITS] = None


class JobOptions(KindOptions):
    """And what belongs to the jobs of one submission."""

    delay_seconds: Annotated[
        float | None,
        _seconds("run this long from now; excludes run_at", 0, checks.MAX_DELAY_SECONDS, "invalid_delay"),
    ] = None
    run_at: Annotated[
        str | None,
        _option(
            "run at this time, RFC 3339 with a zone; excludes delay_seconds", checks.check_run_at, format="date-time"
        ),
    ] = None
    fairness_key: Annotated[
        str | None,
        _name("jobs with different keys take turns within their queue and priority", "invalid_fairness_key"),
    ] = None
    fairness_weight: Annotated[
        int | None,
        _whole("jobs of its key for each job of a key of weight 1; default: 1; needs fairness_key", 1, MAX_WEIGHT, 1),
    ] = None

    def checked(self, defaults: CheckedOptions | None = None) -> CheckedOptions:
        """`defaults`: what holds where nothing is given; None: as the installation says. Raises InvalidJob with `code`
        and `field`."""
        defaults = _DEFAULTS if defaults is None else defaults
        if self.delay_seconds is not None and self.run_at is not None:
            raise InvalidJob(
                "delay_seconds and run_at exclude each other: give one", code="invalid_delay", field="run_at"
            )
        if self.fairness_weight is not None and self.fairness_key is None:
            raise InvalidJob(
                "fairness_weight needs a fairness_key", code="missing_field", field="fairness_key", hint="give both"
            )
        given = msgspec.structs.astuple(self)[: len(OPTIONS)]
        if given == _NOTHING:  # most submissions
            return defaults
        values = {}
        for option, value in zip(OPTIONS, given, strict=True):
            if value is not None:
                values[option.stored] = option.check(option.name, value)
        delay_ms, run_at_ms = values.pop("delay_ms", None), values.pop("run_at_ms", None)
        expires_in_ms = values.pop("expires_in_ms", defaults.expires_in_ms)
        check_expiry(expires_in_ms, delay_ms, run_at_ms)
        record = msgspec.structs.replace(defaults.record, **values)
        if record.limits or record.unique or expires_in_ms:  # what an older node must not run
            record = msgspec.structs.replace(record, version=RECORD_VERSION)
        unique_by_path = defaults.unique_by_path and self.unique is None
        limits_by_path = defaults.limits_by_path and self.limits is None
        return CheckedOptions(record, delay_ms, run_at_ms, expires_in_ms, unique_by_path, limits_by_path)


class Option(NamedTuple):
    """One option, as `JobOptions` declares it. `type` is that of a value which is given, `stored` the name of what it
    becomes: a field of the record, except for when a job may start and when it expires."""

    name: str
    type: Any
    stored: str
    description: str
    check: Callable[[str, Any], Any]
    shown: Callable[[Any], Any]
    default: Any
    at_door: bool


def _declared(name: str, hint: Any) -> Option:
    given, meta = get_args(hint)
    stored = f"{name}_ms" if name == "run_at" else name.replace("_seconds", "_ms")
    kind = get_args(given)[0]
    return Option(name, kind, stored, meta.description, **meta.extra)


OPTIONS: Final = tuple(_declared(name, hint) for name, hint in get_type_hints(JobOptions, include_extras=True).items())
# Those that the record remembers.
RECORDED: Final = tuple(option for option in OPTIONS if option.stored in Job.__struct_fields__)
# Those of a kind that doors put into the record.
DOOR_OPTIONS: Final = frozenset(option.name for option in OPTIONS if option.at_door)
_NOTHING: Final = (None,) * len(OPTIONS)
_DEFAULTS: Final = CheckedOptions(
    Job(
        version=FIRST_VERSION,
        id=b"",
        kind="",
        payload=b"",
        created_ms=0,
        **{option.stored: option.default for option in OPTIONS if option.default is not None},
    )
)


def shown(job: Job) -> dict[str, Any]:
    """The options of a job by their names, as they hold for it. None: as the kind says, or not given."""
    return {option.name: option.shown(getattr(job, option.stored)) for option in RECORDED}


def at_door(options: KindOptions) -> CheckedOptions:
    """What `JobOptions.checked` goes by for jobs of a kind that fixes these. Raises InvalidJob."""
    checked = JobOptions(**{name: getattr(options, name) for name in DOOR_OPTIONS}).checked()
    has_key_of_limit = any(use.key for use in checked.record.limits)
    return checked._replace(unique_by_path=checked.record.unique is not None, limits_by_path=has_key_of_limit)


def merge(defaults: KindOptions, given: Given) -> Given:
    """`given`, with the defaults of its kind where it says nothing."""
    missing = [name for name in KindOptions.__struct_fields__ if getattr(given, name) is None]
    return msgspec.structs.replace(given, **{name: getattr(defaults, name) for name in missing})


# --------------------------------------------------------------------------- from Python


class KindKeywords(TypedDict, total=False):
    """`KindOptions` as Python writes them, for type checkers."""

    priority: str | Priority | None
    queue: str | None
    max_retries: int | None
    timeout_seconds: Duration | None
    retain_seconds: Duration | None
    expires_in_seconds: Duration | None
    unique: Unique | None
    limits: Sequence[Use | Mapping[str, Any]] | None


class JobKeywords(KindKeywords, total=False):
    """`JobOptions` as Python writes them, for type checkers."""

    delay_seconds: Duration | None
    run_at: datetime | str | None
    fairness_key: str | None
    fairness_weight: int | None


class SubmissionKeywords(JobKeywords, total=False):
    """And what belongs to one job alone. `id` is a UUIDv7 as text."""

    idempotency_key: str | None
    id: str | None


def check_names(what: str, given: Iterable[str], allowed: type) -> None:
    """Raises TypeError, as Python does for keywords that a function does not take."""
    names = allowed.__annotations__
    for name in given:
        if name not in names:
            close = closest(name, names)
            hint = f"did you mean {close!r}?" if close else f"it takes {', '.join(names)}"
            raise TypeError(f"{what} takes no option {name!r}: {hint}")


def in_words_of_json(value: Any) -> Any:
    """A value that Python writes in a way of its own: a Priority, a timedelta, a datetime."""
    if isinstance(value, Priority):
        return value.label
    return value.isoformat() if isinstance(value, datetime) else seconds_of(value)


def options_of(given: Mapping[str, Any]) -> JobOptions:
    """The options that Python calls by these names. Nothing is checked yet but the names."""
    return JobOptions(**{name: in_words_of_json(value) for name, value in given.items()})
