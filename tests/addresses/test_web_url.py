"""Where callers look for the API, and which addresses cannot be right."""

from __future__ import annotations

import pytest

from ironforge.addresses.web_url import checked
from ironforge.client.api_url import api_url
from ironforge.client.client import Client
from ironforge.errors import ConfigError
from ironforge.settings import load


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:3000"),
        ({"HTTP_PORT": "4000"}, "http://127.0.0.1:4000"),
        ({"HTTP_PORT": "0"}, "http://127.0.0.1:3000"),
        ({"HTTP_HOST": "10.1.2.3"}, "http://10.1.2.3:3000"),
        ({"HTTP_HOST": "localhost"}, "http://localhost:3000"),
        ({"HTTP_HOST": "0.0.0.0"}, "http://127.0.0.1:3000"),
        ({"HTTP_HOST": "::"}, "http://[::1]:3000"),
        ({"HTTP_HOST": "::1", "HTTP_PORT": "4000"}, "http://[::1]:4000"),
        ({"TLS_CERT": "c.pem", "TLS_KEY": "k.pem"}, "https://127.0.0.1:3000"),
        ({"URL": "https://api.example/forge/", "HTTP_PORT": "4000"}, "https://api.example/forge"),
    ],
)
def test_callers_look_where_the_api_listens_unless_they_are_told(settings, url):
    assert api_url(load({f"IRONFORGE_{name}": value for name, value in settings.items()})) == url


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("127.0.0.1:3000", "begins with none of http://, https://"),
        ("ftp://x", "scheme 'ftp' is not one of http://, https://"),
        ("HTTP://x", "in small letters, http://"),
        ("http://", "a host is missing"),
        ("http://x:99999", "port 99999 is not one from 1 to 65535"),
        ("http://::1:3000", "in brackets"),
        ("http://x y", "a host is missing, or is none"),
        ("http://me:hush@x", "it holds a user or a password"),
        ("http://me:hu/sh@x", "it holds a user or a password"),
        ("http://x?a=hush", "a ? is in it"),
        ("http://x#hush", "a # is in it"),
    ],
)
def test_an_address_that_cannot_be_right_says_what_is_wrong_and_no_secret(url, what):
    with pytest.raises(ConfigError, match="IRONFORGE_URL: ") as refusal:
        checked("IRONFORGE_URL", url)
    assert what in str(refusal.value)
    assert "hush" not in str(refusal.value)


def test_a_key_that_no_header_can_carry_is_refused_and_not_shown():
    with pytest.raises(ConfigError, match="was it copied whole") as refusal:
        Client("http://127.0.0.1:1", api_key="ifk_hush\nhush")
    assert "hush" not in str(refusal.value)
