"""The commands about events."""

from __future__ import annotations

from tests.cli.kit import Dev


def test_an_event_is_sent_once_and_shown(dev: Dev):
    sent = dev.ironforge("events", "send", "approved:1", '{"by": "ada"}', "--keep-seconds", "3600")
    assert (sent.returncode, sent.stdout, sent.stderr) == (0, "", "event approved:1: sent\n")
    again = dev.ironforge("events", "send", "approved:1", "2")
    assert again.stderr == (
        "event approved:1: there is one of this name already, which stays: this one was not taken\n"
    )
    assert again.returncode == 0
    assert dev.json("events", "show", "approved:1")["payload"] == {"by": "ada"}
    shown = dev.ironforge("events", "show", "approved:1")
    assert shown.stdout == '{"by": "ada"}\n'
    assert shown.stderr.startswith("event approved:1 is kept for ")


def test_one_that_was_not_sent_and_a_name_that_is_none(dev: Dev):
    missing = dev.ironforge("events", "show", "never")
    assert missing.returncode == 4
    assert missing.stderr == (
        "ironforge: there is no event never: it was not sent, or it is not kept any more (404 event_not_found)\n"
    )
    odd = dev.ironforge("events", "send", "a b")
    assert odd.returncode == 2
    assert odd.stderr == (
        "ironforge: 'a b' is no name of an event: give 1 to 200 printable characters without spaces, such as "
        "approved:42\n"
    )
    payload = dev.ironforge("events", "send", "go", "{")
    assert payload.returncode == 2
    assert "the payload is not JSON" in payload.stderr
