"""Settings: one frozen object, read from the environment and overridden by flags, checked before anything starts."""

from ironforge.settings.declaration import PREFIX, Settings, environment_name
from ironforge.settings.loading import environment_of, load
from ironforge.settings.namespaces import NAME, NAME_RULE, namespaces_of, of_namespace, shares_of

__all__ = [
    "NAME",
    "NAME_RULE",
    "PREFIX",
    "Settings",
    "environment_name",
    "environment_of",
    "load",
    "namespaces_of",
    "of_namespace",
    "shares_of",
]
