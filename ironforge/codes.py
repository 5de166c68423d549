"""Why something was refused, for programs: every code that the API answers, and that errors of a submission carry, by
the HTTP status it is answered with.

A code keeps its meaning. The type checker compares each place where one is raised with these lists, from which
`/openapi.json` has them.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

S400 = Literal[
    "body_required",
    "duplicate_key",
    "empty_batch",
    "invalid_body",
    "invalid_delay",
    "invalid_event",
    "invalid_fairness_key",
    "invalid_host",
    "invalid_idempotency_key",
    "invalid_job",
    "invalid_job_id",
    "invalid_json",
    "invalid_key_id",
    "invalid_key_request",
    "invalid_kind",
    "invalid_limit",
    "invalid_number",
    "invalid_parameter",
    "invalid_priority",
    "invalid_queue_name",
    "invalid_request",
    "invalid_schedule",
    "invalid_type",
    "invalid_unicode",
    "invalid_workflow",
    "malformed_request",
    "missing_field",
    "not_serialisable",
    "number_out_of_range",
    "out_of_range",
    "timezone_required",
    "too_deep",
    "unknown_field",
]
S401 = Literal[
    "invalid_credentials",
    "invalid_token",
    "missing_credentials",
    "token_expired",
]
S403 = Literal[
    "cross_site_request",
    "expiry_not_held",
    "host_not_allowed",
    "missing_scope",
    "queue_not_allowed",
    "quota_not_held",
    "scope_not_held",
    "too_many_generations",
]
S404 = Literal[
    "event_not_found",
    "job_not_found",
    "key_not_found",
    "kind_not_found",
    "limit_not_found",
    "metrics_not_available",
    "not_found",
    "schedule_not_found",
    "workflow_not_found",
]
S405 = Literal["method_not_allowed"]
S408 = Literal[
    "body_timeout",
    "head_timeout",
]
S409 = Literal[
    "duplicate",
    "idempotency_conflict",
    "invalid_state",
    "schedule_conflict",
    "too_many_keys",
]
S412 = Literal["schedule_changed"]
S413 = Literal[
    "batch_too_large",
    "payload_too_large",
    "too_many_values",
]
S415 = Literal[
    "content_encoding_not_supported",
    "unsupported_media_type",
]
S422 = Literal[
    "invalid_arguments",
    "invalid_expiry",
    "invalid_payload",
    "invalid_unique",
    "keys_apart",
    "unknown_kind",
    "unknown_limit",
    "units_over_burst",
]
S429 = Literal[
    "queue_full",
    "quota_exceeded",
]
S500 = Literal[
    "incompatible_record",
    "internal_error",
]
S503 = Literal[
    "durability_lost",
    "durability_not_confirmed",
    "storage_full",
    "storage_loading",
    "storage_readonly",
    "storage_unavailable",
    "store_refused",
    "too_many_connections",
    "too_many_large_bodies",
]
Code = Literal[S400, S401, S403, S404, S405, S408, S409, S412, S413, S415, S422, S429, S500, S503]

_GROUPS: Final = {
    400: S400,
    401: S401,
    403: S403,
    404: S404,
    405: S405,
    408: S408,
    409: S409,
    412: S412,
    413: S413,
    415: S415,
    422: S422,
    429: S429,
    500: S500,
    503: S503,
}
# The HTTP status of each code.
STATUS: Final[dict[str, int]] = {code: status for status, group in _GROUPS.items() for code in get_args(group)}
