"""Thunderbird on a screen that nobody sees, with one account, driven from inside."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
from pathlib import Path
from typing import Any

from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.marionette import Marionette
from tests.interop.peers.process import Process, free_port, need, wait_until

_STARTTLS, _IMPLICIT, _CLEARTEXT_PASSWORD = 2, 3, 3


class Screen:
    """An X server without a screen; ``name`` is its DISPLAY."""

    def __init__(self, directory: Path) -> None:
        need("Xvfb")
        log = directory / "screen.log"
        answer = directory / "screen.number"
        # The server writes the number it found free to the descriptor.
        descriptor = os.open(answer, os.O_WRONLY | os.O_CREAT)
        try:
            self._process = Process(
                [
                    *("Xvfb", "-displayfd", str(descriptor), "-screen", "0", "1280x1024x24"),
                    *("-nolisten", "tcp"),
                ],
                log,
                pass_fds=(descriptor,),
            )
        finally:
            os.close(descriptor)
        self._process.wait_for(lambda: answer.read_text().endswith("\n"), "Xvfb is ready")
        self.name = f":{answer.read_text().strip()}"

    def stop(self) -> None:
        self._process.stop()


class Thunderbird:
    """A profile of its own with an IMAP account; ``run`` when started."""

    def __init__(self, directory: Path, server: Mailframe, user: str, listener: str) -> None:
        need("thunderbird", "Xvfb")
        self._directory = directory
        self._profile = directory / "profile"
        self._profile.mkdir(parents=True)
        self._server, self._user, self._listener = server, user, listener
        self._control = free_port()
        self._active = self._profile / "MarionetteActivePort"  # written when it listens
        self._screen: Screen | None = None
        self._process: Process | None = None
        self._marionette: Marionette | None = None
        self._write_preferences()
        self._accept_certificate()

    def start(self) -> None:
        """Returns when the main window is there and the password is known."""
        self._active.unlink(missing_ok=True)
        self._screen = Screen(self._directory)
        environment = {
            "HOME": str(self._directory),
            "DISPLAY": self._screen.name,
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "NO_AT_BRIDGE": "1",
            "MOZ_CRASHREPORTER_DISABLE": "1",
        }
        command = ["thunderbird", "--no-remote", "--profile", str(self._profile)]
        command += ["--marionette", "--remote-allow-system-access"]
        self._process = Process(command, self._directory / "thunderbird.log", env=environment)
        self._process.wait_for(self._listening, "Thunderbird listens", 60)
        self._marionette = Marionette(self._control)
        self.run(_READY, self._origin, self._user, PASSWORD)

    def run(self, script: str, *arguments: object, seconds: float = 30) -> Any:
        """Run the body of an asynchronous function inside, with the names of ``_PRELUDE``."""
        assert self._marionette is not None
        return self._marionette.run(_PRELUDE + script, *arguments, seconds=seconds)

    def quit(self) -> None:
        """As from its menu; what it remembers is on disk."""
        assert self._process is not None
        # Later: a program that has ended does not answer.
        self.run("setTimeout(() => Services.startup.quit(Ci.nsIAppStartup.eForceQuit), 100);")
        process = self._process
        wait_until(lambda: not process.running, "Thunderbird ends")
        self.stop()

    def stop(self) -> None:
        if self._marionette is not None:
            self._marionette.close()
        for process in (self._process, self._screen):
            if process is not None:
                process.stop()
        self._marionette = self._process = self._screen = None

    def offline_store(self, name: str) -> bytes:
        """The file with the messages of a folder that are kept for work without the server."""
        return (self._profile / "ImapMail" / self._server.address / name).read_bytes()

    @property
    def _origin(self) -> str:
        return f"imap://{self._server.address}"

    def _listening(self) -> bool:
        return self._active.exists() and self._active.read_text().strip() == str(self._control)

    def _write_preferences(self) -> None:
        implicit = self._listener.endswith("s")
        preferences = _PREFERENCES | {
            "marionette.port": self._control,
            "mail.server.server1.hostname": self._server.address,
            "mail.server.server1.port": self._server.ports[self._listener],
            "mail.server.server1.socketType": _IMPLICIT if implicit else _STARTTLS,
            "mail.server.server1.userName": self._user,
            "mail.identity.id1.useremail": self._user,
        }
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in preferences.items()]
        (self._profile / "user.js").write_text("\n".join(lines) + "\n")

    def _accept_certificate(self) -> None:
        """As a person does once in the dialog about a certificate that nobody vouches for."""
        pem = self._server.certificate.read_text()
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
        print_ = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
        host = f"{self._server.address}:{self._server.ports[self._listener]}:"
        line = "\t".join((host, "OID.2.16.840.1.101.3.4.2.1", print_, ""))
        (self._profile / "cert_override.txt").write_text(line + "\n")


_PREFERENCES: dict[str, object] = {
    "mail.accountmanager.accounts": "account1,account2",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.accountmanager.localfoldersserver": "server2",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.account.account2.server": "server2",
    "mail.server.server1.type": "imap",
    "mail.server.server1.name": "ours",
    "mail.server.server1.authMethod": _CLEARTEXT_PASSWORD,
    "mail.server.server1.offline_download": True,
    "mail.server.server1.login_at_startup": False,
    "mail.server.server1.check_new_mail": False,
    "mail.server.server1.use_condstore": True,
    "mail.server.server2.type": "none",
    "mail.server.server2.name": "Local Folders",
    "mail.server.server2.hostname": "Local Folders",
    "mail.server.server2.userName": "nobody",
    "mail.identity.id1.fullName": "Ann",
    "mail.identity.id1.valid": True,
    # No questions, no first-run pages.
    "app.donation.eoy.version.viewed": 999,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.winsearch.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    # Nothing beyond this machine: every page's way out is a port where nobody listens.
    "app.update.enabled": False,
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.no_proxies_on": "127.0.0.0/8",
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "",
}

# ``until(start)``: start an operation of the mail library with a listener of it, wait for its end.
# ``folder(uri)``: at a path such as "INBOX" or "Αρχείο".
_PRELUDE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = MailServices.accounts.getAccount("account1").incomingServer;
const Flags = Ci.nsMsgFolderFlags;
function until(start) {
  return new Promise((resolve, reject) => {
    const end = status => Components.isSuccessCode(status)
      ? resolve() : reject(new Error(`status 0x${status.toString(16)}`));
    start({
      QueryInterface: ChromeUtils.generateQI(
        ["nsIUrlListener", "nsIMsgCopyServiceListener", "nsIMsgSearchNotify"]),
      onStartRunningUrl() {}, onStopRunningUrl(url, status) { end(status); },
      OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { end(status); },
      onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return ""; },
      onStopCopy(status) { end(status); },
      OnStartCopy() {}, OnProgress() {}, SetMessageKey() {}, GetMessageId() { return ""; },
      OnStopCopy(status) { end(status); },
      onSearchHit() {}, onNewSearch() {}, onSearchDone(status) { end(status); },
    });
  });
}
async function seen(condition, what) {
  for (let tries = 0; tries < 400; tries++) {
    const value = await condition();
    if (value) return value;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error(`not seen: ${what}`);
}
function folder(path) {
  return server.rootFolder.descendants.find(one =>
    one.QueryInterface(Ci.nsIMsgImapMailFolder).onlineName == path);
}
async function refresh(where) {
  // A request that comes while the folder is busy may be dropped, and its listener with it.
  const told = () => until(listener =>
    where.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, listener));
  const late = () => new Promise(resolve => setTimeout(resolve, 3000, "late"));
  while (await Promise.race([told(), late()]) == "late");
}
function message(where, subject) {
  return [...where.messages].find(one => one.mime2DecodedSubject == subject);
}
"""

_READY = """
const [origin, user, password] = given;
const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
login.init(origin, null, origin, user, password, "", "");
if (!(await Services.logins.searchLoginsAsync({ origin })).length)
  await Services.logins.addLoginAsync(login);
// Before this is over, a folder may go and come again.
await until(listener => MailServices.imap.discoverAllFolders(server.rootFolder, listener, null));
await refresh(await seen(() => folder("INBOX"), "the inbox"));
"""
