"""Channels of an environment: what is read, what is refused in which words, and that no secret is ever shown."""

from __future__ import annotations

import pytest

from logos_shift_openai.errors import SettingsError
from logos_shift_openai.server.notifications.channels import TABLE, channels_from

SECRET = "whsec_" + "a" * 43 + "="
STEM = "LOGOS_SHIFT_NOTIFY_OPS_"


def read(**parts):
    return channels_from({STEM + name: text for name, text in parts.items()})


def test_each_kind_is_read():
    """By its address; what is not of this table is left alone."""
    environ = {
        "LOGOS_SHIFT_NOTIFY_A_URL": "https://example.com/hook?key=hidden",
        "LOGOS_SHIFT_NOTIFY_A_SECRET": f"{SECRET} whsec_{'b' * 32}",
        "LOGOS_SHIFT_NOTIFY_B_C_URL": "slack+https://hooks.slack.com/services/T0/B0/hidden",
        "LOGOS_SHIFT_NOTIFY_B_C_EVENTS": "rollout.*, tuning.failed",
        "LOGOS_SHIFT_NOTIFY_MAIL_URL": "smtp://mail.example.com:2525",
        "LOGOS_SHIFT_NOTIFY_MAIL_FROM": "bot@example.com",
        "LOGOS_SHIFT_NOTIFY_MAIL_TO": "a@example.com, b@example.com",
        "LOGOS_SHIFT_NOTIFY_MAIL_USER": "bot",
        "LOGOS_SHIFT_NOTIFY_MAIL_PASSWORD": "hidden",
        "LOGOS_SHIFT_NOTIFY_LOG_URL": "console:",
        "LOGOS_SHIFT_NOTIFY_EMPTY_URL": " ",
        "LOGOS_SHIFT_URL": "https://example.com",
    }
    found = channels_from(environ)
    assert [(one.name, one.kind, one.where) for one in found] == [
        ("a", "webhook", "https://example.com"),
        ("b_c", "slack", "slack+https://hooks.slack.com"),
        ("log", "console", "the log"),
        ("mail", "mail", "smtp://mail.example.com:2525"),
    ]
    assert [len(secret) for secret in found[0].secrets] == [32, 24]
    assert found[3].receivers == ("a@example.com", "b@example.com")
    assert "hidden" not in repr(found)
    kinds = ("rollout.promoted", "tuning.failed", "tuning.started", "test")
    assert [found[1].wants(kind) for kind in kinds] == [True, True, False, True]
    assert all(found[0].wants(kind) for kind in kinds)


MAIL = {"URL": "smtps://m.example.com", "FROM": "a@b.c", "TO": "a@b.c"}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"SECRET": SECRET}, "URL: missing beside"),
        ({"URL": "https://example.com"}, "SECRET: missing; make one with"),
        ({"URL": "https://example.com", "SECRET": "hidden"}, "SECRET: its value is not whsec_"),
        ({"URL": "https://example.com", "SECRET": "whsec_aGlkZGVu"}, "24 to 64 bytes"),
        ({"URL": "https://user:hidden@example.com", "SECRET": SECRET}, "URL: its value is not an address"),
        ({"URL": "ftp://hidden", "SECRET": SECRET}, "URL: its value is not an address"),
        ({"URL": "https://exa mple.com/hidden", "SECRET": SECRET}, "URL: its value is not an address"),
        ({"URL": "https://example.com:99999999/hidden", "SECRET": SECRET}, "URL: its value is not an address"),
        ({"URL": "http://example.com", "SECRET": SECRET}, "http is not taken; use https"),
        ({"URL": "slack+http://example.com"}, "http is not taken; use https"),
        ({"URL": "console:", "PRIVATE": "perhaps"}, "PRIVATE: its value is neither on nor off"),
        ({**MAIL, "TO": ""}, "TO: a mail address is missing"),
        ({**MAIL, "TO": "a@b.c, hidden\r\nBcc: x@y.z"}, "TO: a mail address is missing or is none"),
        ({**MAIL, "FROM": "nobody"}, "FROM: a mail address is missing or is none"),
        ({**MAIL, "USER": "hidden"}, "belong together"),
    ],
)
def test_what_cannot_be_meant(parts, said):
    """The variable is named; its value, which may be a secret, is not."""
    with pytest.raises(SettingsError, match=said) as caught:
        read(**parts)
    assert STEM in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_every_variable_of_the_table_is_read():
    """So the page of settings tells of no other."""
    assert {name for name, _, _ in TABLE} == {
        "URL", "SECRET", "USER", "PASSWORD", "FROM", "TO", "EVENTS", "PRIVATE"
    }  # fmt: skip
    for name, _, _ in TABLE:
        if name != "URL":
            with pytest.raises(SettingsError, match="OPS_"):
                read(**{name: "x"})
