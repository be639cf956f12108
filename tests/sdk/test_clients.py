"""The classes themselves: names, family, signatures, copies, and users' own subclasses."""

from __future__ import annotations

import copy
import inspect
import threading

import openai
import pytest
from provider import MESSAGES, records

import logos_shift_openai as ours
from logos_shift_openai import AsyncLogosShiftMixin, LogosShift, LogosShiftMixin

KINDS = [ours.OpenAI, ours.AsyncOpenAI, ours.AzureOpenAI, ours.AsyncAzureOpenAI]


@pytest.mark.parametrize("kind", KINDS)
def test_family_and_signatures(provider, kind):
    """Each class is the SDK's class by family, name and signature."""
    plain = getattr(openai, kind.__name__)
    assert issubclass(kind, plain)
    assert inspect.signature(kind) == inspect.signature(plain)
    client = provider.client(kind)
    for name in ("copy", "with_options"):
        assert inspect.signature(getattr(client, name)) == inspect.signature(getattr(provider.client(plain), name))
    assert client.user_agent == f"{kind.__name__}/Python {openai.__version__}"


def test_azure_descends_from_ours():
    """The Azure classes descend from our plain ones, as in the SDK."""
    assert issubclass(ours.AzureOpenAI, ours.OpenAI)
    assert issubclass(ours.AsyncAzureOpenAI, ours.AsyncOpenAI)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_keep_everything(provider, kind):
    """Copies keep the `LogosShift` and the SDK's own options."""
    shift = LogosShift(dataset="mine")
    client = provider.client(kind, logos_shift=shift, default_headers={"X-Own": "1"})
    for twin in (
        client.copy(),
        client.with_options(timeout=3),
        client.with_options(timeout=3).with_options(max_retries=1),
        copy.copy(client),
    ):
        assert type(twin) is kind
        assert twin._logos_shift is shift
        assert twin._custom_headers == {"X-Own": "1"}


def test_with_options_records(provider, home):
    """A call through a copy is recorded like any other."""
    client = provider.client(logos_shift=LogosShift(dataset="mine"))
    answer = client.with_options(timeout=3).chat.completions.create(model="m", messages=MESSAGES)
    (record,) = records(home)
    assert (record["id"], record["dataset"]) == (answer.logos_shift_id, "mine")


def test_set_default_headers_forgets_what_was_said(provider, home):
    """Replacing the default headers replaces what ours among them said."""
    client = provider.client(default_headers=ours.headers(dataset="old"))
    client.with_options(set_default_headers={}).chat.completions.create(model="m", messages=MESSAGES)
    client.with_options(default_headers=ours.headers(user_id="u")).chat.completions.create(model="m", messages=MESSAGES)
    first, second = records(home)
    assert first["dataset"] == "default"
    assert (second["dataset"], second["user_id"]) == ("old", "u")


def test_users_own_subclasses(provider, home):
    """A user's subclass of ours, and the mixin in front of a subclass of the SDK's, are recorded, copies included."""

    class Mine(ours.OpenAI):
        def __init__(self, *, tenant="t", **more):
            super().__init__(**more)
            self.tenant = tenant

    class Theirs(openai.OpenAI):
        pass

    class Joined(LogosShiftMixin, Theirs):
        pass

    for kind in (Mine, Joined):
        client = provider.client(kind)
        client.chat.completions.create(model="m", messages=MESSAGES)
        client.with_options(timeout=1).chat.completions.create(model="m", messages=MESSAGES)
    assert len(records(home)) == 4


async def test_async_mixin(provider, home):
    """The asynchronous mixin goes in front of an Azure class, too."""

    class Joined(AsyncLogosShiftMixin, openai.AsyncAzureOpenAI):
        pass

    answer = await provider.client(Joined).chat.completions.create(model="m", messages=MESSAGES)
    (record,) = records(home)
    assert record["id"] == answer.logos_shift_id


def test_a_client_a_request(provider, home):
    """A thousand clients share one set of threads."""
    before = set(threading.enumerate())  # a server that another test started may have some of its own
    for _ in range(1_000):
        provider.client().chat.completions.create(model="m", messages=MESSAGES)
    assert len([one for one in set(threading.enumerate()) - before if one.name.startswith("logos-shift")]) <= 3
    assert len(records(home)) == 1_000


def test_bad_settings(monkeypatch):
    """A setting that cannot be meant raises when the client is made, and names the variable and what it takes."""
    monkeypatch.setenv("LOGOS_SHIFT_SAMPLE_RATE", "often")
    with pytest.raises(ours.SettingsError, match=r"LOGOS_SHIFT_SAMPLE_RATE: 'often' is not a number from 0 to 1"):
        ours.OpenAI(api_key="k")
    monkeypatch.setenv("LOGOS_SHIFT_SAMPLE_RATE", "0.5")
    with pytest.raises(ours.SettingsError, match=r"force_variant: 'best' is not baseline or candidate"):
        LogosShift(force_variant="best")


def test_sampling(provider, home):
    """A rate of zero records nothing, and counts what it left out."""
    client = provider.client(logos_shift=LogosShift(sample_rate=0))
    client.chat.completions.create(model="m", messages=MESSAGES)
    assert records(home) == []
    assert client._logos_shift.stats()["sampled_out"] == 1


def test_filename(provider, home, tmp_path):
    """Records are appended to the file that was named."""
    client = provider.client(logos_shift=LogosShift(filename=tmp_path / "calls.jsonl"))
    client.chat.completions.create(model="m", messages=MESSAGES)
    client._logos_shift.flush()
    assert (tmp_path / "calls.jsonl").read_text().count("\n") == 1
