"""Every key that all namespaces share: who may call. Names, types and what is lost without them, as in `keys`."""

from __future__ import annotations

from ironforge.redis.key_spec import STAYS, Key, KeyFamily, KeySpace


class RingKeys(KeySpace):
    """The keys of all namespaces together: who may call. No namespace can have this name."""

    prefix = "if:{@auth}:"
    records = Key("keys", "hash", STAYS, "id of an API key → its record", "no API key counts; tokens do")
    of = KeyFamily(
        "of:<namespace>",
        "hash",
        STAYS,
        "id of an API key of the namespace → expiry and name",
        "the namespace's keys cannot be made, listed or revoked",
    )
    used = Key("used", "hash", STAYS, "id of an API key → its last use (ms)", "keys cannot be listed or revoked")
    makers = Key(
        "makers", "hash", STAYS, "id of an API key → ids of those that it comes from", "keys cannot be made or revoked"
    )
    quotas = Key(
        "quotas",
        "hash",
        STAYS,
        "namespace → its quota",
        "nobody gets in once what processes remember is 15 seconds old",
    )
