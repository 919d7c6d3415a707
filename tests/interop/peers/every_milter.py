"""A milter of pymilter that does what a message's ``X-Do`` fields, or its addresses, say.

Run as a program: ``every_milter.py SOCKET``. With ``watch`` it reports what it heard, as fields
``X-Heard``.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import Milter


class Every(Milter.Base):
    def __init__(self) -> None:
        self.id = Milter.uniqueID()
        self.wishes: list[str] = []
        self.heard: list[str] = []
        self.octets = 0

    def connect(self, hostname: str, family: int, hostaddr: Any) -> int:
        self.heard = [f"connect {hostname} {hostaddr}"]
        return Milter.CONTINUE

    def hello(self, hostname: str) -> int:
        self.heard.append(f"helo {hostname}")
        if hostname.startswith("reject"):
            self.setreply("550", "5.7.1", "Not by that name")
            return Milter.REJECT
        return Milter.CONTINUE

    def envfrom(self, sender: str, *words: str) -> int:
        self.wishes, self.octets = [], 0
        auth = self.getsymval("{auth_authen}")
        self.heard.append(f"mail {sender} {' '.join(words)} auth={auth}".rstrip())
        return self._by_name(sender)

    def envrcpt(self, to: str, *words: str) -> int:
        self.heard.append(f"rcpt {to} {' '.join(words)}".rstrip())
        return self._by_name(to)

    def _by_name(self, address: str) -> int:
        word = address.strip("<>").partition("@")[0]
        if word == "reply":
            self.setreply("451", "4.7.1", "Come back 100%% later", "and bring cake")
            return Milter.TEMPFAIL
        if word == "die":
            sys.stdout.flush()
            __import__("os")._exit(1)
        if word == "slow":
            time.sleep(5)
        verdicts = {
            "reject": Milter.REJECT,
            "tempfail": Milter.TEMPFAIL,
            "discard": Milter.DISCARD,
            "accept": Milter.ACCEPT,
        }
        return verdicts.get(word, Milter.CONTINUE)

    def header(self, name: str, value: str) -> int:
        self.heard.append(f"header {name}={value!r}")
        if name.lower() == "x-do":
            self.wishes += [wish.strip() for wish in value.split(";")]
        return Milter.CONTINUE

    def eoh(self) -> int:
        if "reject at eoh" in self.wishes:
            return Milter.REJECT
        return Milter.CONTINUE

    def body(self, chunk: bytes) -> int:
        self.octets += len(chunk)
        return Milter.SKIP if "skip" in self.wishes else Milter.CONTINUE

    def eom(self) -> int:
        self.heard.append(f"body {self.octets}")
        for wish in self.wishes:
            verdict = self._do(wish)
            if verdict is not None:
                return verdict
        return Milter.CONTINUE

    def _do(self, wish: str) -> int | None:
        if wish == "watch":
            for line in self.heard:
                self.addheader("X-Heard", line.replace("\n", "|"))
        elif wish == "insert":
            self.addheader("X-Inserted", "first\n\tand folded", 0)
        elif wish == "change":
            self.chgheader("Subject", 1, "Changed")
        elif wish == "remove":
            self.chgheader("X-Two", 2, "")
        elif wish == "recipients":
            self.addrcpt("<more@example.org>")
            self.delrcpt("<ann@example.org>")
        elif wish == "sender":
            self.chgfrom("<other@sender.example>")
        elif wish == "body":
            for _ in range(3):
                self.replacebody(b"new body\r\n" * 10_000)
        elif wish == "quarantine":
            self.quarantine("looks odd")
        elif wish == "progress":
            for _ in range(8):
                time.sleep(0.4)
                self.progress()
        elif wish == "slow":
            time.sleep(5)
        elif wish == "reply":
            self.setreply("554", "5.7.1", "Not this one")
            return Milter.REJECT
        elif wish in ("reject", "tempfail", "discard", "accept"):
            return int(getattr(Milter, wish.upper()))
        return None


def main() -> None:
    Milter.factory = Every
    Milter.set_flags(
        Milter.ADDHDRS
        | Milter.CHGBODY
        | Milter.CHGHDRS
        | Milter.ADDRCPT
        | Milter.DELRCPT
        | Milter.CHGFROM
        | Milter.QUARANTINE
    )
    Milter.runmilter("every", sys.argv[1], 60)


if __name__ == "__main__":
    main()
