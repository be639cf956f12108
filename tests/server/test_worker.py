"""Background work: one of many does it, what fails keeps nothing else from its turn, and health says how it is."""

from __future__ import annotations

from logos_shift_openai.server.store.database import empty_store, open_store
from logos_shift_openai.server.worker import StoreLease, Worker


class Right:
    def __init__(self):
        self.mine = True
        self.released = 0

    def hold(self, now):
        if isinstance(self.mine, Exception):
            raise self.mine
        return self.mine

    def release(self, now):
        self.released += 1

    def fence(self, connection):
        pass


class Case:
    def __init__(self, *steps):
        self.time = 0.0
        self.lease = Right()
        self.worker = Worker(
            empty_store("none"), steps, self.lease, now=lambda: int(self.time * 1000), clock=lambda: self.time
        )


def test_steps_are_done_when_they_are_due():
    """Each says itself when it is to be next."""
    done = []
    case = Case(
        ("often", lambda store, now: done.append("often") or 2.0),
        ("rarely", lambda store, now: done.append("rarely") or 100.0),
    )
    assert case.worker.turn() == 2.0
    case.time = 2.0
    case.worker.turn()
    assert done == ["often", "rarely", "often"]
    assert case.worker.leader


def test_a_step_that_fails_is_tried_ever_more_rarely_and_said_once(caplog):
    """The other step goes on."""
    done = []

    def fail(store, now):
        raise ZeroDivisionError

    case = Case(("bad", fail), ("good", lambda store, now: done.append(now) or 1.0))
    dues = []
    for _ in range(4):
        case.worker.turn()
        dues.append(case.worker.states[0].due - case.time)
        case.time = case.worker.states[0].due
    assert dues == [5.0, 10.0, 20.0, 40.0]
    assert len(done) == 4
    assert (case.worker.states[0].failures, case.worker.states[0].fault) == (4, "ZeroDivisionError")
    assert sum("step bad failed" in record.getMessage() for record in caplog.records) == 1


def test_nothing_is_done_without_the_lease():
    """Taken by another, or not to be had."""
    done = []
    case = Case(("step", lambda store, now: done.append(now) or 1.0))
    case.lease.mine = False
    assert case.worker.turn() == 5.0
    case.lease.mine = OSError()
    case.worker.turn()
    assert (done, case.worker.leader, case.worker.lease_fault) == ([], False, "OSError")


def test_of_two_on_one_store_one_leads_and_the_other_takes_over(tmp_path):
    """At once when the first lets go, and after its time when it is killed."""
    store = open_store(tmp_path / "store.sqlite3")
    one, two, three = (StoreLease(store, name) for name in ("one", "two", "three"))
    assert (one.hold(1_000), two.hold(1_000)) == (True, False)
    one.release(2_000)
    assert (two.hold(2_000), one.hold(2_000)) == (True, False)
    assert three.hold(31_999) is False
    assert three.hold(32_000) is True
    assert two.hold(32_001) is False
    store.close()


def test_health_tells_of_the_work(serve, tmp_path):
    """A failing step is degraded, not dead; records are taken all the same."""
    import threading

    from served import Lines, wait_until

    ran = threading.Event()

    class Lazy(Right):
        pass

    worker = Worker(
        empty_store("none"),
        [("fold", lambda store, now: ran.set() or 60.0), ("broken", lambda store, now: 1 / 0)],
        Lazy(),
    )
    server = serve(worker=worker)
    assert ran.wait(90)
    wait_until(lambda: worker.states[1].failures)
    health = server.ask("GET", "/health", None).json()
    assert (health["status"], health["worker"]["leader"]) == ("degraded", True)
    assert [(one["name"], one["failures"]) for one in health["worker"]["steps"]] == [("fold", 0), ("broken", 1)]
    assert server.send(Lines().call()).status_code == 200
    server.server.should_exit = True
    wait_until(lambda: worker._lease.released == 1)
