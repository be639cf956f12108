"""What each kind of channel sends, to receivers that are real, and how it says that it was not taken."""

from __future__ import annotations

import base64
import email
import email.policy
import hmac
import json
import logging
import socket
import threading

import pytest

from logos_shift_openai.server.notifications import dialing, mail, posting, slack, webhook
from logos_shift_openai.server.notifications.delivery import send
from logos_shift_openai.server.notifications.dialing import UndeliveredError, dial, is_public
from logos_shift_openai.server.notifications.rules import Event

NOW = 1_764_000_000_123
EVENT = Event("evt_1", "rollout.promoted", NOW - 60_000, "promoted: proven", "sales-tiny", "sales", {"share": 9_900})
NASTY = Event(
    "evt_2", "rollout.alarm", NOW, "<!channel> & @everyone\r\nBcc: x@y.z\n.\nQUIT", "a\r\nBcc: thief@example.com\u2028b"
)


def failing(channel, event=EVENT):
    with pytest.raises(UndeliveredError) as caught:
        send(channel, event, NOW)
    return caught.value


def test_a_webhook_is_signed_as_the_specification_says(receiver, channel):
    """Checked as a receiver does it: over id, time of the try and the body as it came, with either secret."""
    hook = receiver("hook")
    secrets = ["whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
    send(channel(URL=f"http://127.0.0.1:{hook.port}/in?a=b", SECRET=" ".join(secrets)), EVENT, NOW)
    [(path, headers, body)] = hook.taken
    assert path == "/in?a=b"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("evt_1", "1764000000")
    expected = []
    for number in (1, 2):
        mac = hmac.new(bytes([number]) * 32, b"evt_1.1764000000." + body, "sha256")
        expected.append("v1," + base64.b64encode(mac.digest()).decode())
    assert headers["webhook-signature"].split(" ") == expected
    told = json.loads(body)
    assert (told["type"], told["timestamp"]) == ("rollout.promoted", "2025-11-24T15:59:00.123Z")
    assert told["data"] == {
        "experiment": "sales-tiny", "dataset": "sales", "title": "The candidate is promoted (sales-tiny)",
        "why": "promoted: proven", "share": 9_900,
    }  # fmt: skip


def test_the_signature_is_the_one_of_the_specification():
    """The vector of its reference libraries."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    said = webhook.signatures([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("status", "headers", "said", "final", "after"),
    [
        (302, {"Location": "http://127.0.0.1:1/"}, "redirects are not followed", False, None),
        (404, {}, "127.0.0.1 answers 404", False, None),
        (410, {}, "127.0.0.1 answers 410", True, None),
        (429, {"Retry-After": "120"}, "127.0.0.1 answers 429", False, 120.0),
        (503, {"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"}, "127.0.0.1 answers 503", False, None),
        (503, {"Retry-After": "999999999"}, "127.0.0.1 answers 503", False, 86_400.0),
    ],
)
def test_what_is_not_taken(receiver, channel, status, headers, said, final, after):
    """Anything but a 2xx; the path, which may be a secret, is not in the words."""
    hook = receiver("hook", [(status, headers)])
    error = failing(channel(URL=f"http://127.0.0.1:{hook.port}/hidden?key=hidden"))
    assert said in str(error)
    assert "hidden" not in str(error)
    assert (error.final, error.retry_after) == (final, after)
    assert len(hook.taken) == 1


def test_an_answer_is_bounded_in_size_and_time(receiver, channel):
    """One that never ends is cut off, however regularly it drips."""
    large = receiver("hook", body=b"x" * (posting.ANSWER_BYTES + 1))
    assert "more than 64 KiB" in str(failing(channel(URL=f"http://127.0.0.1:{large.port}/")))
    slow = receiver("hook", body=b"x" * 200, drip=0.02)
    body = webhook.payload(EVENT)
    with pytest.raises(UndeliveredError, match="did not answer"):
        posting.post(channel(URL=f"http://127.0.0.1:{slow.port}/"), body, {}, 0.2)


def test_tls_is_checked(receiver, channel, certificate, monkeypatch):
    """A certificate that nobody signed is not accepted; one that is trusted is, and the time is bounded there too."""
    import ssl

    hook = receiver("hook")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    hook.server.socket = context.wrap_socket(hook.server.socket, server_side=True)
    there = channel(URL=f"https://127.0.0.1:{hook.port}/")
    send(there, EVENT, NOW)
    hook.body, hook.drip = b"x" * 200, 0.02
    with pytest.raises(UndeliveredError, match="did not answer"):
        posting.post(there, b"{}", {}, 0.2)
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "certificate of 127.0.0.1 is not accepted" in str(failing(there))
    assert len(hook.taken) == 2


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False),
        ("192.168.1.1", False), ("169.254.169.254", False), ("0.0.0.0", False), ("100.64.0.1", False),
        ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False), ("fe80::1%eth0", False),
        ("fd00::1", False), ("fec0::1", False), ("ff02::1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True), ("64:ff9b::7f00:1", False), ("64:ff9b::808:808", True), ("2002:7f00:1::", False),
        ("2001:db8::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address, public):
    assert is_public(address) is public


def test_private_addresses_are_refused_and_names_resolved_once(receiver, channel, monkeypatch):
    """One private address among a name's is enough; what was looked at is what is connected to."""
    hook = receiver("hook")
    closed = channel(URL="https://127.0.0.1/", PRIVATE="off")
    assert "127.0.0.1 is a private address" in str(failing(closed))
    asked = []

    def resolve(host, port, **options):
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, hook.port))]

    monkeypatch.setattr(dialing.socket, "getaddrinfo", resolve)
    send(channel(URL=f"http://name.example:{hook.port}/"), EVENT, NOW)
    assert (asked, hook.taken[0][1]["Host"]) == (["name.example"], f"name.example:{hook.port}")
    public = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))
    private = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::ffff:10.0.0.1", 443, 0, 0))
    monkeypatch.setattr(dialing.socket, "getaddrinfo", lambda *_args, **_options: [public, private])
    with pytest.raises(UndeliveredError, match="private address"):
        dial("two.example", 443, private=False)


def test_a_resolver_that_hangs_is_left_alone(monkeypatch):
    """After its time, and only so many at once; when they come back there is room again."""
    answer, asked = threading.Event(), threading.Semaphore(0)

    def resolve(*_args, **_options):
        asked.release()
        answer.wait(90)
        return [("an", "address")]

    monkeypatch.setattr(dialing.socket, "getaddrinfo", resolve)
    for _ in range(8):
        with pytest.raises(UndeliveredError, match=r"slow\.example was not found in 0 seconds"):
            dialing.resolve("slow.example", 443, seconds=0)
    with pytest.raises(UndeliveredError, match="earlier look-ups hang"):
        dialing.resolve("slow.example", 443, seconds=0)
    for _ in range(8):
        assert asked.acquire(timeout=90)
    hanging = [thread for thread in threading.enumerate() if thread.name == "logos-shift-resolve"]
    answer.set()
    for thread in hanging:
        thread.join(90)
    assert dialing.resolve("slow.example", 443) == [("an", "address")]


def test_nobody_there(channel):
    """A port that nobody listens on, and a name that has no address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "cannot be reached" in str(failing(channel(URL=f"http://127.0.0.1:{port}/")))
    assert "has no address" in str(failing(channel(URL="http://no-such-host.invalid/")))


def test_slack_gets_a_text_and_blocks(receiver, channel):
    """Nobody is called by what came from elsewhere, and the parts keep within what Slack takes."""
    hook = receiver("hook")
    send(channel(URL=f"slack+http://127.0.0.1:{hook.port}/services/x"), NASTY, NOW)
    told = json.loads(hook.taken[0][2])
    assert "&lt;!channel&gt; &amp; @\u200beveryone" in told["text"]
    assert [block["type"] for block in told["blocks"]] == ["header", "section", "context"]
    assert told["blocks"][1]["text"]["type"] == "plain_text"
    long = json.loads(slack.message(Event("e", "x.y", NOW, "&" * 4_000, "k" * 400)))["blocks"]
    assert len(long[0]["text"]["text"]) <= 150
    assert 2_900 < len(long[1]["text"]["text"]) <= 3_000
    assert long[1]["text"]["text"].replace("&amp;", "") == "..."


def test_a_mail_is_one_mail_whatever_the_names_hold(receiver, channel):
    """No header and no command of SMTP can be brought in; the id is the one of the event."""
    server = receiver("mail")
    there = channel(URL=f"smtp://127.0.0.1:{server.port}", FROM="bot@example.com", TO="a@example.com,b@example.com")
    send(there, NASTY, NOW)
    [(sender, receivers, raw)] = server.mails
    assert "bot@example.com" in sender
    assert len(receivers) == 2
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert read["Bcc"] is None
    assert read["Subject"] == "[logos-shift] A rollout is held: its split is broken (a Bcc: thief@example.com b)"
    assert (read["To"], read["Message-ID"]) == ("a@example.com, b@example.com", "<evt_2@logos-shift>")
    assert read.get_content_type() == "text/plain"
    body = read.get_content().replace("\r\n", "\n")
    assert body.startswith("<!channel> & @everyone\nBcc: x@y.z\n.\nQUIT\n\nevent: rollout.alarm\n")


def test_mail_over_tls_with_a_login(receiver, channel, certificate):
    """By STARTTLS or from the first byte; a password that is wrong is not repeated in the words."""
    who = {"FROM": "bot@example.com", "TO": "a@example.com", "USER": "bot", "PASSWORD": "right"}
    for scheme, wrapped in (("smtp", False), ("smtps", True)):
        server = receiver("mail", certificate, wrapped=wrapped)
        send(channel(URL=f"{scheme}://127.0.0.1:{server.port}", **who), EVENT, NOW)
        assert (server.safe, server.logins) == ([True], [["bot", "right"]])
        error = failing(channel(URL=f"{scheme}://127.0.0.1:{server.port}", **{**who, "PASSWORD": "hidden"}))
        assert str(error) == "127.0.0.1 answers 535"


def test_no_password_without_tls_and_no_stranger_s_certificate(receiver, channel, certificate, monkeypatch):
    """Neither the password nor the mail leaves then."""
    who = {"FROM": "bot@example.com", "TO": "a@example.com"}
    bare, safe = receiver("mail"), receiver("mail", certificate)
    login = channel(URL=f"smtp://127.0.0.1:{bare.port}", USER="bot", PASSWORD="right", **who)
    assert "offers no TLS" in str(failing(login))
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "not accepted" in str(failing(channel(URL=f"smtp://127.0.0.1:{safe.port}", **who)))
    assert (bare.logins, bare.mails, safe.mails) == ([], [], [])


def test_a_receiver_that_is_refused(receiver, channel):
    server = receiver("mail", refuse="b@example.com")
    who = {"FROM": "bot@example.com", "TO": "a@example.com,b@example.com"}
    assert "refused 1 of 2 receivers" in str(failing(channel(URL=f"smtp://127.0.0.1:{server.port}", **who)))


def test_the_log_gets_one_line(channel, caplog):
    with caplog.at_level(logging.INFO):
        send(channel(), NASTY, NOW)
    [line] = [record.getMessage() for record in caplog.records if record.name.endswith("notifications")]
    assert line == (
        "rollout.alarm: A rollout is held: its split is broken (a Bcc: thief@example.com b): "
        "<!channel> & @everyone Bcc: x@y.z . QUIT [evt_2]"
    )


def test_a_letter_of_long_and_broken_texts(channel):
    """Half a character, an emoji, a very long name: a mail that can be sent all the same."""
    there = channel(URL="smtp://mail.example", FROM="bot@example.com", TO="a@example.com")
    event = Event("evt_3", "x", NOW, "why \ud800 \U0001f600 " + "long " * 500, "k" * 500)
    read = email.message_from_bytes(mail.letter(there, event).as_bytes(), policy=email.policy.default)
    assert len(read["Subject"]) == 150
    assert "\U0001f600" in read.get_content()
