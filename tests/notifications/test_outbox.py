"""From the outbox to the channels: at least once under one id, each channel by itself, given up in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from logos_shift_openai.server.notifications import outbox
from logos_shift_openai.server.notifications.delivery import TRIES, TURN_SECONDS, Delivery
from logos_shift_openai.server.notifications.outbox import CLAIM_MS, KEPT_DAYS, STALE_MS, list_outbox, notify
from logos_shift_openai.server.notifications.rules import Event
from logos_shift_openai.server.store.database import StoreError
from logos_shift_openai.server.store.schema import deliveries, notifications

NOW = 1_764_000_000_000
DAY = STALE_MS


def put(store, event_id="evt_1", kind="rollout.promoted", at=NOW):
    with store.writing() as connection:
        notify(connection, Event(event_id, kind, at, "why", "sales-tiny", None, {"share": 1}))


def deliver(store, *channels, now=NOW, random=0.5):
    return Delivery(channels, lambda: random, lambda: 0.0).step(store, now)


def told(store):
    """The events, the oldest first, with the state, tries and fault by channel."""
    with store.reading() as connection:
        found = list_outbox(connection)[::-1]
    return {
        one["id"]: {way["channel"]: (way["state"], way["tries"], way["fault"]) for way in one["deliveries"]}
        for one in found
    }


def due_in(store, now):
    with store.reading() as connection:
        return sorted((due - now) / 1000 for due in connection.scalars(select(deliveries.c.due)))


def ids(hook):
    return [headers["webhook-id"] for _, headers, _ in hook.taken]


def test_each_channel_gets_what_it_wants(store, receiver, channel):
    """By its patterns; nothing is sent twice, and what nobody wants is kept all the same."""
    all_, some = receiver("hook"), receiver("hook")
    channels = (
        channel("all", URL=f"http://127.0.0.1:{all_.port}/"),
        channel("some", URL=f"http://127.0.0.1:{some.port}/", EVENTS="tuning.*"),
    )
    put(store)
    put(store, "evt_2", "tuning.failed", NOW + 1)
    assert deliver(store, *channels, now=NOW + 2) == TURN_SECONDS
    deliver(store, *channels, now=NOW + DAY)
    assert (ids(all_), ids(some)) == (["evt_1", "evt_2"], ["evt_2"])
    sent = ("sent", 1, None)
    assert told(store) == {"evt_1": {"all": sent}, "evt_2": {"all": sent, "some": sent}}


def test_a_dead_channel_stops_no_other_and_is_tried_ever_more_rarely(store, receiver, channel):
    """One attempt a turn, however much waits for it; then all of it goes once the channel lives again."""
    good, bad = receiver("hook"), receiver("hook", [(500, {})] * 3)
    channels = (
        channel("bad", URL=f"http://127.0.0.1:{bad.port}/"),
        channel("good", URL=f"http://127.0.0.1:{good.port}/"),
    )
    for number in range(4):
        put(store, f"evt_{number}", at=NOW + number)
    now = NOW + 10
    deliver(store, *channels, now=now, random=0.0)
    assert (len(good.taken), len(bad.taken)) == (4, 1)
    assert due_in(store, now)[-4:] == [5.0] * 4
    deliver(store, *channels, now=now + 4_999)
    assert len(bad.taken) == 1
    now += 5_000
    deliver(store, *channels, now=now, random=1.0)
    assert ids(bad) == ["evt_0", "evt_1"]  # one that is refused for what it is does not stand in the others' way
    now += 10_000
    deliver(store, *channels, now=now, random=1.0)
    now += 10_000
    deliver(store, *channels, now=now, random=1.0)
    assert ids(bad)[:3] == ["evt_0", "evt_1", "evt_2"]
    deliver(store, *channels, now=now + DAY)
    assert sorted(ids(bad)[3:]) == ["evt_0", "evt_1", "evt_2", "evt_3"]
    assert {ways["bad"][0] for ways in told(store).values()} == {"sent"}
    assert len(good.taken) == 4


def test_it_is_given_up_after_so_many_tries_and_said(store, receiver, channel, caplog):
    """Over about a day; the store keeps the last fault."""
    hook = receiver("hook", [(500, {})] * 99)
    there = channel(URL=f"http://127.0.0.1:{hook.port}/")
    put(store)
    now, waits = NOW, []
    for _ in range(TRIES):
        assert told(store).get("evt_1", {}).get("ops", ("waiting",))[0] == "waiting"
        deliver(store, there, now=now, random=1.0)
        waits += [due_in(store, now)[0]]
        now += 21_600_000
    assert waits[:-1] == [10, 30, 90, 270, 810, 2_430, 7_290, 21_600, 21_600, 21_600, 21_600]
    deliver(store, there, now=now + 30 * DAY - DAY * 5)
    assert len(hook.taken) == TRIES
    assert told(store)["evt_1"]["ops"] == ("given_up", TRIES, "127.0.0.1 answers 500")
    assert "given up on the channel ops" in caplog.text
    hook.answers.clear()
    with store.writing() as connection:
        assert outbox.retry_given_up(connection, "evt_2", now) == 0
        assert outbox.retry_given_up(connection, "evt_1", now) == 1
        assert outbox.retry_given_up(connection, None, now) == 0
    deliver(store, there, now=now)
    assert told(store)["evt_1"]["ops"] == ("sent", 1, None)
    assert len(hook.taken) == TRIES + 1


def test_what_the_other_side_asks_for(store, receiver, channel):
    """Gone is given up at once; later is later."""
    gone, later = receiver("hook", [(410, {})]), receiver("hook", [(429, {"Retry-After": "3600"})])
    channels = (
        channel("gone", URL=f"http://127.0.0.1:{gone.port}/"),
        channel("later", URL=f"http://127.0.0.1:{later.port}/"),
    )
    put(store)
    deliver(store, *channels)
    assert told(store)["evt_1"]["gone"] == ("given_up", 1, "127.0.0.1 answers 410")
    assert due_in(store, NOW)[-1] == 3_600


def test_a_sender_that_breaks_is_a_fault_like_any(store, channel, monkeypatch):
    """It is counted, and keeps no other event from its turn."""
    from logos_shift_openai.server.notifications import delivery

    monkeypatch.setitem(delivery._SENDERS, "console", lambda *_: 1 / 0)
    put(store)
    deliver(store, channel())
    assert told(store)["evt_1"]["ops"] == ("waiting", 1, "ZeroDivisionError")


def test_old_events_are_no_news_and_very_old_ones_go(store, channel):
    """A channel that is named later is not told of days ago; without channels nothing is lost for a day."""
    put(store, "evt_old", at=NOW - DAY - 1)
    put(store, "evt_new", at=NOW - DAY + 1_000)
    deliver(store)
    deliver(store, channel())
    assert told(store) == {"evt_old": {}, "evt_new": {"ops": ("sent", 1, None)}}
    deliver(store, now=NOW + (KEPT_DAYS - 1) * DAY + 1_001)
    assert told(store) == {}
    with store.reading() as connection:
        assert connection.execute(select(deliveries)).all() == []


def test_two_processes_send_it_once(store, receiver, channel):
    """Who sees it claimed leaves it; who comes after the claim ran out settles nothing of the other's."""
    put(store)
    there = channel()
    with store.writing() as connection:
        assert outbox.spread(connection, [there], NOW) == 1
        assert outbox.spread(connection, [there], NOW) == 0
    with store.reading() as connection:
        one, two = (outbox.next_due(connection, ["ops"], NOW) for _ in range(2))
    with store.writing() as connection:
        assert outbox.claim(connection, one, NOW)
        assert not outbox.claim(connection, two, NOW)
        assert outbox.next_due(connection, ["ops"], NOW) is None
        later = outbox.next_due(connection, ["ops"], NOW + CLAIM_MS)
        assert outbox.claim(connection, later, NOW + CLAIM_MS)
        outbox.settle_failed(connection, one, "too late", None)
    assert told(store)["evt_1"]["ops"] == ("waiting", 2, None)
    with store.writing() as connection:
        outbox.settle_sent(connection, later)
    assert told(store)["evt_1"]["ops"] == ("sent", 2, None)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_killed_in_the_middle(store, place, receiver, when):
    """Between claim and sending, or between sending and its note: it is told, under one id, once the claim ran out."""
    from logos_shift_openai.server.notifications.channels import channels_from

    hook = receiver("hook")
    environ = {
        "LOGOS_SHIFT_NOTIFY_OPS_URL": f"http://127.0.0.1:{hook.port}/",
        "LOGOS_SHIFT_NOTIFY_OPS_SECRET": "whsec_" + "a" * 43 + "=",
        "LOGOS_SHIFT_NOTIFY_OPS_PRIVATE": "on",
    }
    put(store)
    program = Path(__file__).with_name("killed_program.py")
    address = store.engine.url.render_as_string(hide_password=False) if "://" in str(place) else str(place)
    done = subprocess.run(
        [sys.executable, str(program), address, str(NOW), when], env={**os.environ, **environ}, timeout=90, check=False
    )
    assert done.returncode == -signal.SIGKILL
    before = len(hook.taken)
    assert before == (1 if when == "after" else 0)
    channels = channels_from(environ)
    deliver(store, *channels, now=NOW + CLAIM_MS - 1)
    assert len(hook.taken) == before
    deliver(store, *channels, now=NOW + 2 * CLAIM_MS)  # the other's own clock had gone on by then
    assert ids(hook) == ["evt_1"] * (before + 1)
    assert told(store)["evt_1"]["ops"] == ("sent", 2, None)


def test_an_event_is_undone_with_its_transaction(store):
    """What was not decided is not told."""

    def twice():
        with store.writing() as connection:
            for _ in range(2):
                notify(connection, Event("evt_1", "x", NOW, "why"))

    with pytest.raises(StoreError):
        twice()
    assert told(store) == {}
    put(store)
    with store.reading() as connection:
        assert json.loads(connection.scalar(select(notifications.c.data))) == {"share": 1}
