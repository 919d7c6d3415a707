"""A whole Exim of its own, from the system or from an unpacked package.

The binary is ``MAILFRAME_EXIM``, or ``exim4`` on the path. Debian's has the user
``Debian-exim`` compiled in; where that is missing it gets a private /etc/passwd with it.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.interop.peers.certificates import self_signed
from tests.interop.peers.maildir import messages
from tests.interop.peers.process import Process, listens, need, need_root, privately

_USER = "Debian-exim"
_ID = 65533


class Exim:
    """Takes mail for ``mailboxes`` into Maildirs and relays the rest for this machine."""

    def __init__(self, directory: Path, address: str, port: int, hostname: str) -> None:
        self._binary = os.environ.get("MAILFRAME_EXIM") or shutil.which("exim4") or ""
        if not Path(self._binary).is_file():
            pytest.skip("Exim is not installed (MAILFRAME_EXIM may name its binary)")
        need("unshare")
        need_root("Exim")
        self.address, self.port, self.hostname = address, port, hostname
        self._directory = directory
        self._process: Process | None = None

    def start(
        self, *, mailboxes: Iterable[str], resolv_conf: Path | None = None, relay_port: int = 25
    ) -> None:
        files = {"/etc/resolv.conf": resolv_conf} if resolv_conf else {}
        uid, gid = self._ids(files)
        for name in ("spool", "mail", "log"):
            (self._directory / name).mkdir(exist_ok=True)
            os.chown(self._directory / name, uid, gid)
        certificate, key = self_signed(self._directory, self.hostname)
        for path in (certificate, key):
            os.chown(path, uid, gid)
        boxes = tuple(mailboxes)
        # what a lookup yields is not tainted, as parts of an address would be
        paths = [f"{box}: {self._maildir(box)}\n" for box in boxes]
        (self._directory / "mailboxes").write_text("".join(paths))
        config = self._directory / "exim.conf"
        config.write_text(
            _CONFIG.format(
                base=self._directory,
                binary=self._binary,
                address=self.address,
                port=self.port,
                hostname=self.hostname,
                domains=" : ".join(sorted({box.partition("@")[2] for box in boxes})),
                relay_port=relay_port,
                certificate=certificate,
                key=key,
            )
        )
        command = [*privately(files), self._binary, "-C", str(config), "-bdf", "-q5s"]
        self._process = Process(command, self._directory / "start.log")
        self._process.wait_for(lambda: listens(self.address, self.port), "Exim listens")

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    def inbox(self, address: str) -> list[bytes]:
        return messages(self._maildir(address))

    @property
    def log(self) -> str:
        log = self._directory / "log" / "main"
        return log.read_text(errors="replace") if log.exists() else ""

    def _maildir(self, address: str) -> Path:
        local, _, domain = address.partition("@")
        return self._directory / "mail" / domain / local

    def _ids(self, files: dict[str, Path]) -> tuple[int, int]:
        try:
            user = pwd.getpwnam(_USER)
            return user.pw_uid, user.pw_gid
        except KeyError:
            pass
        for place, line in (
            ("/etc/passwd", f"{_USER}:x:{_ID}:{_ID}::/nonexistent:/usr/sbin/nologin\n"),
            ("/etc/group", f"{_USER}:x:{_ID}:\n"),
        ):
            ours = self._directory / Path(place).name
            ours.write_text(Path(place).read_text() + line)
            files[place] = ours
        assert _ID not in {group.gr_gid for group in grp.getgrall()}
        return _ID, _ID


_CONFIG = """\
exim_path = {binary}
primary_hostname = {hostname}
spool_directory = {base}/spool
log_file_path = {base}/log/%s
pid_file_path = {base}/exim.pid
local_interfaces = {address}
daemon_smtp_ports = {port}
domainlist local_domains = {domains}
hostlist relay_from_hosts = 127.0.0.0/8
acl_smtp_rcpt = acl_check_rcpt
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
log_selector = +tls_cipher +smtp_confirmation
never_users =
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
smtputf8_advertise_hosts = *
keep_environment =

begin acl
acl_check_rcpt:
  accept domains = +local_domains
         condition = ${{lookup{{$local_part@$domain}}lsearch{{{base}/mailboxes}}{{yes}}{{no}}}}
  deny domains = +local_domains
       message = 5.1.1 no such user
  accept hosts = +relay_from_hosts
  deny message = relay not permitted

begin routers
local:
  driver = accept
  domains = +local_domains
  transport = maildir
outside:
  driver = dnslookup
  transport = remote
  self = send
  no_more

begin transports
maildir:
  driver = appendfile
  directory = ${{lookup{{$local_part@$domain}}lsearch{{{base}/mailboxes}}}}
  maildir_format
  create_directory
  delivery_date_add
  envelope_to_add
  return_path_add
  user = Debian-exim
  group = Debian-exim
remote:
  driver = smtp
  port = {relay_port}
  allow_localhost

begin retry
* * F,1h,5s
"""
