"""Settings: where they come from, and that a wrong one is refused by the name its user knows."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge import settings
from ironforge.errors import ConfigError
from ironforge.settings import Settings
from ironforge.settings.declaration import DECLARED, Command, choices_of, settings_of


def refusal(environ: dict[str, str] | None = None, **flags: object) -> str:
    with pytest.raises(ConfigError) as caught:
        settings.load(environ or {}, **flags)
    return str(caught.value)


def test_an_empty_environment_gives_the_defaults():
    assert settings.load({}) == Settings()
    assert settings.load({"IRONFORGE_CONCURRENCY": "", "OTHER": "1"}) == Settings()


def test_the_environment_is_read_and_flags_override_it():
    environ = {
        "IRONFORGE_CONCURRENCY": "8",
        "IRONFORGE_LEASE_SECONDS": "2.5",
        "IRONFORGE_QUEUES": " mail, default ,",
        "IRONFORGE_DURABILITY": "local",
    }
    loaded = settings.load(environ, concurrency=16, drain_seconds=None)
    assert loaded.concurrency == 16
    assert loaded.lease_seconds == 2.5
    assert loaded.queues == ("mail", "default")
    assert loaded.durability == "local"
    assert loaded.drain_seconds == 25.0


BOUNDS = {name: setting.bounds for name, setting in DECLARED.items() if setting.bounds}
NAMES = st.lists(st.from_regex(settings.NAME, fullmatch=True), min_size=1, max_size=3, unique=True).map(tuple)


@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            **{
                name: st.integers(int(low) + 1, int(high))
                if isinstance(getattr(Settings(), name), int)
                else st.floats(low, high)
                for name, (low, high) in BOUNDS.items()
            },
            **{name: st.sampled_from(choices) for name in DECLARED if (choices := choices_of(name)) and name != "auth"},
            "queues": NAMES,
            "namespaces": NAMES,
            "namespace": st.from_regex(settings.NAME, fullmatch=True),
            "redis_url": st.just("unix:///run/a b/server"),
        },
    )
)
def test_another_process_is_told_every_setting_whatever_its_own_environment_says(changes):
    told = msgspec.structs.replace(Settings(), **changes)
    inherited = {"IRONFORGE_QUEUES": "other", "IRONFORGE_NAMESPACES": "team:3", "IRONFORGE_RETENTION_SECONDS": "1"}

    assert settings.load({**inherited, **settings.environment_of(told)}) == told


def test_every_setting_that_is_no_secret_has_a_flag_somewhere():
    with_flags = {name for command in Command for name in settings_of(command)}

    assert {name for name, setting in DECLARED.items() if not setting.secret} == with_flags


@pytest.mark.parametrize("name", BOUNDS)
def test_both_bounds_are_allowed_and_what_is_beyond_is_not(name):
    low, high = BOUNDS[name]
    kind = type(getattr(Settings(), name))
    for value in (low, high):
        assert getattr(settings.load({}, **{name: kind(value)}), name) == kind(value)
    for value in (low - 1, high + 1):
        assert f"IRONFORGE_{name.upper()}=" in refusal(**{name: kind(value)})


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"IRONFORGE_CONCURRENCY": "many"}, "IRONFORGE_CONCURRENCY='many' is not a number"),
        ({"IRONFORGE_CONCURRENCY": "1.5"}, "IRONFORGE_CONCURRENCY='1.5' is not a number"),
        ({"IRONFORGE_LEASE_SECONDS": "nan"}, "IRONFORGE_LEASE_SECONDS=nan is out of range: 1 to 3600"),
        ({"IRONFORGE_DURABILITY": "high"}, "'high'"),
        ({"IRONFORGE_LOG_LEVEL": "loud"}, "'loud'"),
        ({"IRONFORGE_UNKNOWN_KINDS": "drop"}, "'drop' is not one of accept, refuse"),
        ({"IRONFORGE_APP_VERSION": "v" * 65}, "is no version: up to 64 characters"),
        ({"IRONFORGE_APP_VERSION": "1\n2"}, "is no version"),
        ({"IRONFORGE_QUEUES": ","}, "names no queue"),
        ({"IRONFORGE_QUEUES": "a,b,a"}, "names a queue twice"),
        ({"IRONFORGE_QUEUES": "a:b"}, "'a:b' is not a name"),
        ({"IRONFORGE_NAMESPACE": "{x}"}, "IRONFORGE_NAMESPACE: '{x}' is not a name"),
        ({"IRONFORGE_REDIS_URL": "http://x"}, "IRONFORGE_REDIS_URL: scheme 'http' is not one of"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_what_is_right(environ, said):
    assert said in refusal(environ)


def test_a_flag_that_is_no_setting_is_refused():
    assert "concurency" in refusal(concurency=3)


def test_a_password_in_the_url_is_never_shown():
    assert "s3cret" not in refusal({"IRONFORGE_REDIS_URL": "htp://user:s3cret@host"})
