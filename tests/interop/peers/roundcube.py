"""Debian's Roundcube on PHP's own web server, used as its JavaScript in a browser uses it."""

from __future__ import annotations

import http.cookiejar
import json
import re
import shutil
import sqlite3
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import Process, free_port, listens, need

_PROGRAM = Path("/usr/share/roundcube")
_CONFIG = Path("/etc/roundcube")


class Roundcube:
    """One user's browser; the database, the configuration and the logs are the test's own."""

    def __init__(self, directory: Path, server: Mailframe) -> None:
        need("php")
        if not (_PROGRAM / "SQL/sqlite.initial.sql").is_file():
            pytest.skip("roundcube-core and roundcube-sqlite3 are not installed")
        self.directory = directory
        self._address, self._port = server.address, free_port(server.address)
        self._configure(server)
        self._cookies = http.cookiejar.CookieJar()
        self._browser = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._cookies)
        )
        self._token = ""
        self._process: Process | None = None

    def start(self) -> None:
        command = ["php", "-d", "display_errors=0", "-S", f"{self._address}:{self._port}"]
        self._process = Process(
            [*command, "-t", "/var/lib/roundcube/public_html"],
            self.directory / "php.log",
            env={"PATH": "/usr/bin:/bin", "ROUNDCUBE_CONFIG_DIR": str(self.directory)},
        )
        self._process.wait_for(lambda: listens(self._address, self._port), "PHP listens")

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    @property
    def errors(self) -> str:
        """What Roundcube itself found wrong."""
        log = self.directory / "errors.log"
        return log.read_text() if log.exists() else ""

    # -- as a person --------------------------------------------------------------------

    def log_in(self, user: str, password: str = PASSWORD) -> str:
        """The page that is shown then."""
        self._learn(self.page())
        form = {"_task": "login", "_action": "login", "_user": user, "_pass": password}
        page = self._get({"_task": "login"}, form | {"_token": self._token})
        self._learn(page)
        return page

    def log_out(self) -> str:
        return self.page(_task="logout", _token=self._token)

    def page(self, **query: str | int) -> str:
        """HTML, or a part of a message."""
        return self._get(query)

    def ask(self, action: str, **query: str | int) -> Remote:
        """What a click asks for behind the page, as in ``this.list_mailbox()``."""
        return self._remote({"_task": "mail", "_action": action, "_mbox": "INBOX"} | query)

    def tell(self, action: str, **form: str | int) -> Remote:
        """A click that changes something."""
        return self._remote({"_task": "mail", "_action": action}, {"_mbox": "INBOX"} | form)

    # -- as a browser -------------------------------------------------------------------

    def _remote(
        self, query: dict[str, str | int], form: dict[str, str | int] | None = None
    ) -> Remote:
        query["_remote"] = 1
        return Remote(json.loads(self._get(query, form)))

    def _get(self, query: dict[str, Any], form: dict[str, Any] | None = None) -> str:
        url = f"http://{self._address}:{self._port}/?{urllib.parse.urlencode(query)}"
        data = None if form is None else urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(url, data, {"X-Roundcube-Request": self._token})
        with self._browser.open(request, timeout=30) as answer:
            octets: bytes = answer.read()
        return octets.decode()

    def _learn(self, page: str) -> None:
        found = re.search(r'"request_token":"([^"]+)"', page)
        assert found, page[:3000]
        self._token = found[1]

    def _configure(self, server: Mailframe) -> None:
        # It looks for its defaults beside the configuration.
        for name in ("defaults.inc.php", "mimetypes.php"):
            shutil.copy(_CONFIG / name, self.directory / name)
        database = self.directory / "roundcube.db"
        with sqlite3.connect(database) as connection:
            connection.executescript((_PROGRAM / "SQL/sqlite.initial.sql").read_text())
        connection.close()
        (self.directory / "temp").mkdir()
        settings = {
            "db_dsnw": f"sqlite:///{database}?mode=0600",
            "imap_host": f"tls://{server.address}:{server.ports['imap']}",
            "imap_conn_options": {"ssl": {"verify_peer": False, "verify_peer_name": False}},
            "imap_debug": True,
            "log_dir": f"{self.directory}/",
            "temp_dir": f"{self.directory}/temp/",
            "des_key": "0123456789abcdefghijklmn",
            "language": "en_US",
            "enable_spellcheck": False,
            "messages_cache": "db",
            "imap_cache": "db",
            "create_default_folders": True,
            "skin": "elastic",
            "plugins": [],
        }
        text = json.dumps(settings).replace("\\", "\\\\").replace("'", "\\'")
        (self.directory / "config.inc.php").write_text(
            f"<?php $config = json_decode('{text}', true);\n"
        )


class Remote:
    """An answer behind the page: values of its environment and calls of the page's script."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.action: str = answer["action"]
        self.env: dict[str, Any] = answer.get("env") or {}
        self.calls: str = answer.get("exec") or ""
        assert "display_message" not in self.calls or '"error"' not in self.calls, self.calls

    @property
    def rows(self) -> dict[int, dict[str, Any]]:
        """The messages put into the list, in its order: what each column shows, by UID."""
        return {int(uid): columns for uid, columns, *_ in self._arguments("add_message_row")}

    @property
    def row_flags(self) -> dict[int, dict[str, Any]]:
        return {int(uid): flags for uid, _, flags, *_ in self._arguments("add_message_row")}

    def _arguments(self, name: str) -> list[list[Any]]:
        decoder, found = json.JSONDecoder(), []
        for call in re.finditer(rf"\bthis\.{name}\(", self.calls):
            arguments, at = [], call.end()
            while self.calls[at] != ")":
                value, at = decoder.raw_decode(self.calls, at + (self.calls[at] == ","))
                arguments.append(value)
            found.append(arguments)
        return found
