"""What a server has imported: what it serves and nothing else, and all of it before it serves.

Memory is the reason for the first, and the reactor for the second: an import with the first login
would be a stall.
"""

from __future__ import annotations

import imaplib
import importlib.util
import poplib
import signal
import sys
from pathlib import Path

import pytest

from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate
from tests.interop.peers.process import wait_until

_COMMAND = """\
#!{python}
import os
import signal
import sys

from mailframe.app.cli import main


def tell(number, frame):
    with open({path!r} + ".new", "w") as file:
        file.write("\\n".join([*sys.modules, "all"]))
    os.rename({path!r} + ".new", {path!r})


signal.signal(signal.SIGUSR1, tell)
main()
"""
OF_OTHERS = (
    *("mailframe.app.front_imap", "mailframe.protocols.imap", "mailframe.servers.imap"),
    *("mailframe.app.front_pop3", "mailframe.protocols.pop3", "mailframe.servers.pop3"),
    *("mailframe.web", "mailframe.metrics.page", "jinja2", "prometheus_client", "twisted.web"),
    *("mailframe.app.policies_of_clients", "mailframe.policy.dnsbl", "mailframe.policy.helo"),
    *("mailframe.app.policies_of_authors", "mailframe.policy.spf", "mailframe.mailauth.spf"),
    *("mailframe.policy.dkim", "mailframe.policy.dmarc", "mailframe.policy.content"),
    *("mailframe.scanners", "mailframe.protocols.milter"),
    *("mailframe.reports.intake", "mailframe.reports.sending", "mailframe.reports.writing", "xml"),
    *("mailframe.accounts.dev", "mailframe.accounts.custom", "mailframe.accounts.twisted_realm"),
    *("mailframe.app.workers.supervisor", "mailframe.app.checks", "mailframe.backup.writing"),
    *("mailframe.bench", "mailframe.simulation", "mailframe.testing", "rich"),
    *("unittest", "twisted.trial", "twisted.internet.testing", "pdb", "doctest"),
)


class Told(Mailframe):
    """A server that tells which modules it has."""

    def __init__(self, directory: Path) -> None:
        self._told = directory / "modules"
        command = directory / "mailframe"
        command.write_text(_COMMAND.format(python=sys.executable, path=str(self._told)))
        command.chmod(0o755)
        super().__init__(directory, command=str(command))

    def listen_only(self, name: str) -> None:
        self._settings["listen"] = {name: self._listener(name)}
        self.configure()

    def modules(self) -> set[str]:
        self._told.unlink(missing_ok=True)
        self.signal(signal.SIGUSR1)
        wait_until(self._told.exists, "it tells its modules")
        return set(self._told.read_text().split("\n"))


@pytest.fixture
def told(directory: Path) -> Told:
    return Told(directory)


def test_the_others_are_there() -> None:
    """One that was renamed would never be found where it should not be."""
    assert [name for name in OF_OTHERS if importlib.util.find_spec(name) is None] == []


def test_a_server_of_smtp_has_nothing_of_the_others(told: Told) -> None:
    told.listen_only("mx")
    told.start()
    try:
        modules = told.modules()
    finally:
        told.stop()
    assert "mailframe.servers.smtp" in modules
    found = {name for name in modules if f"{name}.".startswith(tuple(f"{o}." for o in OF_OTHERS))}
    assert found == set()


def test_nothing_is_imported_once_it_serves(told: Told) -> None:
    told.configure(policy={"dmarc": {"report_from": "dmarc@mf.test"}})
    told.add_users("ann@mf.test")
    told.start()
    try:
        before = told.modules()
        _use_it(told)
        late = told.modules() - before
    finally:
        told.stop()
    # Python itself imports how a charset is read with the first text in it.
    assert {name for name in late if not name.startswith("encodings.")} == set()


def _use_it(server: Mailframe) -> None:
    with server.submission("ann@mf.test") as client:
        client.sendmail(
            "ann@mf.test", ["ann@mf.test"], b"From: ann@mf.test\r\nSubject: x\r\n\r\nx\r\n"
        )
    wait_until(lambda: server.inbox("ann@mf.test"), "the message is there")
    context = any_certificate()
    with imaplib.IMAP4_SSL(server.address, server.ports["imaps"], ssl_context=context) as imap:
        imap.login("ann@mf.test", PASSWORD)
        imap.select()
        assert imap.search(None, "SUBJECT", "x") == ("OK", [b"1"])
        assert imap.fetch("1", "(ENVELOPE BODYSTRUCTURE BODY[])")[0] == "OK"
    pop3 = poplib.POP3_SSL(server.address, server.ports["pop3s"], context=context)
    pop3.user("ann@mf.test")
    pop3.pass_(PASSWORD)
    assert pop3.stat()[0] == 1
    pop3.quit()
