"""A web service that knows accounts: HTTPS, JSON, a secret; and its bad days."""

from __future__ import annotations

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.interop.peers.authority import Authority
from tests.interop.peers.process import loopback_address

SECRET = "Bearer 4fdT-x"
PASSWORD = "correct horse 7"
DOMAIN = "web.test"


class Portal:
    """``people`` by address; ``asked`` is what came; ``mood`` is how it answers now."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        directory.mkdir(exist_ok=True)
        self.address = loopback_address()
        self.people: dict[str, dict[str, Any]] = {
            f"ann@{DOMAIN}": {"account": f"ann@{DOMAIN}"},
            f"info@{DOMAIN}": {"account": f"ann@{DOMAIN}"},
            f"bob@{DOMAIN}": {"account": "bob", "quota": 20_000},
            f"gone@{DOMAIN}": {"enabled": False},
            f"both@{DOMAIN}": {"forward": [f"ann@{DOMAIN}", f"bob@{DOMAIN}"]},
            f"thief@{DOMAIN}": {"account": "ann@mf.test"},
            f"path@{DOMAIN}": {"account": "../../../tmp/x@" + DOMAIN},
            f"../../../tmp/x@{DOMAIN}": {},
            f"stray@{DOMAIN}": {"account": "nobody"},
            f"odd@{DOMAIN}": {"account": f"odd@{DOMAIN}", "enable": False},
        }
        self.asked: list[dict[str, Any]] = []
        self.mood = ""
        portal = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(json.loads(body))

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                self._answer({name: values[0] for name, values in query.items()})

            def _answer(self, asked: dict[str, Any]) -> None:
                portal.asked.append(asked | {"path": urlsplit(self.path).path})
                code, body = portal.answer(self.headers.get("Authorization", ""), asked)
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", "/yes")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((self.address, 0), Answering)
        self._server.daemon_threads = True
        certificate, key = authority.issue(directory, self.address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self._server.server_port}"

    def answer(self, secret: str, asked: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body."""
        if self.mood == "hangs":
            time.sleep(8)
        if self.mood.isdigit():
            return int(self.mood), b"{}"
        if self.mood:
            return 200, self.mood.encode()
        if secret != SECRET:
            return 500, b"{}"
        found = self.people.get(asked.get("address") or asked["login"].lower())
        if found is None or found.get("password", PASSWORD) != asked.get("password", PASSWORD):
            return (403 if "login" in asked else 404), b"{}"
        return 200, json.dumps(found).encode()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
