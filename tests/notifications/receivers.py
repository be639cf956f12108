"""Real receivers on the loopback: an HTTP server that does as it is told, and a mail server, with TLS where asked for."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import ipaddress
import socketserver
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Hook:
    """Takes posts, and answers with the next of `answers` (status, headers), then 200 for ever."""

    def __init__(self, answers=(), body=b"ok", drip=0.0):
        self.answers, self.body, self.drip = list(answers), body, drip
        self.taken = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.taken.append((self.path, dict(self.headers), body))
                status, headers = hook.answers.pop(0) if hook.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(hook.body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    for byte in hook.body if hook.drip else ():
                        self.wfile.write(bytes([byte]))
                        time.sleep(hook.drip)
                    if not hook.drip:
                        self.wfile.write(hook.body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self):
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


class MailServer:
    """A small SMTP server (RFC 5321): EHLO, STARTTLS, AUTH PLAIN, one transaction after the other.

    Args:
        certificate: Files of a certificate and its key; with them STARTTLS is offered.
        wrapped: TLS from the first byte.
        refuse: A receiver that is not taken.
    """

    def __init__(self, certificate=None, wrapped=False, refuse=None):
        self.mails, self.logins, self.safe = [], [], []
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
        mails = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError, ssl.SSLError):
                    if wrapped:
                        self._wrap()
                    self._speak(wrapped)

            def _wrap(self):
                self.request = context.wrap_socket(self.request, server_side=True)
                self.connection = self.request
                self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)

            def _say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def _speak(self, safe):
                self._say("220 here")
                sender, receivers = None, []
                while line := self.rfile.readline():
                    word, _, rest = line.decode().strip().partition(" ")
                    word = word.upper()
                    if word == "EHLO":
                        extra = [] if safe or not context else ["250-STARTTLS"]
                        for one in ["250-here", *extra, "250-AUTH PLAIN", "250 8BITMIME"]:
                            self._say(one)
                    elif word == "STARTTLS":
                        self._say("220 go on")
                        self._wrap()
                        safe = True
                    elif word == "AUTH":
                        mails.logins.append(base64.b64decode(rest.split()[1]).decode().split("\0")[1:])
                        good = mails.logins[-1][1] == "right"
                        self._say("235 ok" if good else "535 no such password: " + mails.logins[-1][1])
                    elif word == "MAIL":
                        sender, receivers = rest, []
                        self._say("250 ok")
                    elif word == "RCPT":
                        good = refuse is None or refuse not in rest
                        receivers += [rest] if good else []
                        self._say("250 ok" if good else "550 nobody")
                    elif word == "DATA":
                        self._say("354 go on")
                        body = b""
                        while (part := self.rfile.readline()) != b".\r\n":
                            body += part[1:] if part.startswith(b".") else part
                        mails.mails.append((sender, receivers, body))
                        mails.safe.append(safe)
                        self._say("250 taken")
                    elif word == "QUIT":
                        self._say("221 bye")
                        return
                    else:
                        self._say("250 ok")

            def finish(self):
                with contextlib.suppress(OSError):
                    self.rfile.close()
                    self.wfile.close()
                with contextlib.suppress(OSError):
                    self.request.close()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = False
            allow_reuse_address = True

            def shutdown_request(self, request):
                pass  # the handler closes what TLS has made of it

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self):
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


def make_certificate(folder):
    """Write a certificate of 127.0.0.1 that signs itself; give the paths of it and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return certificate, secret
