"""A whole Postfix of its own: configuration, queue and mailboxes below one directory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.interop.peers.certificates import self_signed
from tests.interop.peers.maildir import messages
from tests.interop.peers.process import Process, listens, need, need_root, privately, run

_UID = 65534  # nobody: owns the mailboxes


class Postfix:
    """Takes mail for ``mailboxes`` into Maildirs and relays the rest for this machine."""

    def __init__(self, directory: Path, address: str, port: int, hostname: str) -> None:
        need("postfix", "unshare")
        need_root("Postfix")
        self.address, self.port, self.hostname = address, port, hostname
        self._directory = directory
        self._process: Process | None = None

    def start(
        self,
        *,
        mailboxes: Iterable[str] = (),
        resolv_conf: Path | None = None,
        relay_port: int = 25,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Other addresses in the domains of ``mailboxes`` are refused at RCPT with 550 5.1.1.

        ``relay_port`` is dialled on MX hosts; ``settings`` override main.cf.
        """
        for name in ("config", "queue", "data", "mail"):
            (self._directory / name).mkdir(exist_ok=True)
        run(["chown", "postfix", self._directory / "data"])
        run(["chown", str(_UID), self._directory / "mail"])
        certificate, key = self_signed(self._directory, self.hostname)
        main = self._main(tuple(mailboxes), relay_port, certificate, key) | dict(settings or {})
        config = self._directory / "config"
        (config / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in main.items()))
        (config / "master.cf").write_text(_MASTER.format(address=self.address, port=self.port))
        self._files = {"/etc/resolv.conf": resolv_conf} if resolv_conf else {}
        self.restart()

    def restart(self) -> None:
        """Start it with the configuration it has."""
        command = [*privately(self._files), "postfix", "-c", str(self._config), "start-fg"]
        self._process = Process(command, self._directory / "start.log")
        self._process.wait_for(lambda: listens(self.address, self.port), "Postfix listens")

    def stop(self) -> None:
        if self._process is not None and self._process.running:
            run(["postfix", "-c", self._config, "stop"])
            self._process.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def inbox(self, address: str) -> list[bytes]:
        """Messages delivered to the address, oldest first."""
        local, _, domain = address.partition("@")
        return messages(self._directory / "mail" / domain / local)

    def queue(self) -> str:
        return run(["postqueue", "-c", self._config, "-p"]).stdout

    def flush(self) -> None:
        run(["postqueue", "-c", self._config, "-f"])

    @property
    def log(self) -> str:
        log = self._directory / "mail.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def log_has(self, pattern: str) -> bool:
        return re.search(pattern, self.log) is not None

    @property
    def _config(self) -> Path:
        return self._directory / "config"

    def _main(
        self, mailboxes: tuple[str, ...], relay_port: int, certificate: Path, key: Path
    ) -> dict[str, str]:
        base = self._directory
        return {
            "compatibility_level": "3.6",
            "myhostname": self.hostname,
            "mydestination": "",
            "local_recipient_maps": "",
            "inet_interfaces": "127.0.0.1",  # an address that the machine has; see master.cf
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "queue_directory": str(base / "queue"),
            "data_directory": str(base / "data"),
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "shlib_directory": "/usr/lib/postfix",
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "maillog_file": str(base / "mail.log"),
            "maillog_file_prefixes": str(base),
            "virtual_mailbox_domains": " ".join(
                sorted({box.partition("@")[2] for box in mailboxes})
            ),
            "virtual_mailbox_base": str(base / "mail"),
            "virtual_mailbox_maps": f"texthash:{self._mailbox_map(mailboxes)}",
            "virtual_uid_maps": f"static:{_UID}",
            "virtual_gid_maps": f"static:{_UID}",
            "virtual_minimum_uid": "100",
            "smtp_tcp_port": str(relay_port),
            "smtp_tls_security_level": "may",
            "smtp_tls_loglevel": "1",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_loglevel": "1",
            "smtpd_tls_received_header": "yes",
            "smtpd_tls_cert_file": str(certificate),
            "smtpd_tls_key_file": str(key),
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "smtpd_peername_lookup": "no",
            "minimal_backoff_time": "5s",
            "maximal_backoff_time": "5s",
            "queue_run_delay": "5s",
            "message_size_limit": "100000000",
            "virtual_mailbox_limit": "0",
        }

    def _mailbox_map(self, mailboxes: tuple[str, ...]) -> Path:
        path = self._directory / "config" / "mailboxes"
        lines = []
        for box in mailboxes:
            local, _, domain = box.partition("@")
            lines.append(f"{box} {domain}/{local}/\n")
        path.write_text("".join(lines))
        return path


_MASTER = """\
{address}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
