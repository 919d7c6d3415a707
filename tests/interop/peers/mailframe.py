"""mailframe itself as a process, known only by its configuration, commands and sockets.

The command is ``MAILFRAME_BIN``, or the ``mailframe`` beside the Python that runs the tests,
so that the same tests hold for a checkout and for an installed wheel.
"""

from __future__ import annotations

import json
import os
import re
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers import preloaded
from tests.interop.peers.certificates import self_signed
from tests.interop.peers.maildir import messages
from tests.interop.peers.process import Process, free_ports, run
from tests.share import plays_all

PASSWORD = "correct horse 7"
_LISTENERS = ("mx", "submission", "submissions", "lmtp", "pop3", "pop3s", "imap", "imaps")
Settings = Mapping[str, Any]


def mailframe_command() -> str:
    command = os.environ.get("MAILFRAME_BIN") or str(Path(sys.executable).parent / "mailframe")
    if not Path(command).is_file():
        pytest.skip("mailframe is not installed (MAILFRAME_BIN may name its command)")
    return command


class Mailframe:
    """One server with every listener; ``ports`` by listener name."""

    def __init__(
        self,
        directory: Path,
        address: str = "127.0.0.1",
        mx_port: int = 0,
        command: str | None = None,
    ) -> None:
        self._command = command or mailframe_command()
        self.directory = directory
        self.address = address
        self.hostname = "mail.mf.test"
        self.base = directory / "state"
        self.ports = dict(zip(_LISTENERS, free_ports(address, len(_LISTENERS)), strict=True))
        if mx_port:
            self.ports["mx"] = mx_port
        self.certificate, key = self_signed(directory, self.hostname, address)
        self._settings: dict[str, Any] = {
            "hostname": self.hostname,
            "base": str(self.base),
            "listen": {name: self._listener(name) for name in self.ports},
            "tls": {"certificate": str(self.certificate), "key": str(key)},
            "limits": {"connections_per_ip": 0, "messages_per_hour_per_user": 0},
            # what asks the DNS is for the tests that have one
            "policy": {"order": ["relay", "rate"]},
        }
        self.before: list[str] = []
        """Words before the command, as ``strace``."""
        self.environment: dict[str, str] = {}
        """More of it, for the server alone."""
        self._process: Process | None = None
        self._log = directory / "mailframe.log"
        self._log.touch()

    def _listener(self, name: str) -> dict[str, str]:
        implicit = name in ("submissions", "pop3s", "imaps")
        role = name.removesuffix("s") if implicit else name
        endpoint = f"tcp:{self.ports_of(name)}:interface={self.address}"
        listener = {"endpoint": endpoint, "role": role}
        return listener | ({"tls": "implicit"} if implicit else {})

    def ports_of(self, name: str) -> int:
        return self.ports[name]

    # -- set-up -----------------------------------------------------------------------

    def configure(self, **sections: Settings | str) -> None:
        """Merge into the configuration, and write it."""
        _merge(self._settings, sections)
        self.config.write_text(_toml(self._settings))

    @property
    def config(self) -> Path:
        return self.directory / "mailframe.toml"

    def cli(self, *words: str | Path, text: str | None = None, **options: Any) -> str:
        """Run a command; its standard output. Fails the test where the command fails."""
        done = self.cli_result(*words, text=text, **options)
        if done.returncode:
            pytest.fail(f"mailframe {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout

    def cli_result(
        self, *words: str | Path, text: str | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"MAILFRAME_CONFIG": str(self.config)}
        command = [self._command, *map(str, words)]
        if not options and self._can_be_forked(environment):
            return preloaded.run(command, text=text, environment=environment, seconds=120)
        return run(command, input=text, env=environment, **options)

    def _can_be_forked(self, environment: Mapping[str, str]) -> bool:
        own_command = os.environ.get("MAILFRAME_BIN") or self._command != mailframe_command()
        return not (own_command or plays_all()) and preloaded.can_be_used(environment)

    def add_users(self, *addresses: str) -> None:
        """With PASSWORD, and their domains where those are new."""
        domains = {address.partition("@")[2] for address in addresses}
        for domain in sorted(domains - self._domains()):
            self.cli("domain", "add", domain)
        for address in addresses:
            self.cli("user", "add", address, "--stdin", text=PASSWORD + "\n")

    def _domains(self) -> set[str]:
        lines = self.cli("domain", "list", "--json").splitlines()
        return {json.loads(line)["domain"] for line in lines}

    # -- life -------------------------------------------------------------------------

    def start(self, seconds: float = 30.0) -> None:
        """Returns when every listener is open."""
        already = self.log.count("mailframe ready")
        self.launch().wait_for(
            lambda: self.log.count("mailframe ready") > already, "mailframe is ready", seconds
        )

    def launch(self) -> Process:
        """Start it, and wait for nothing."""
        command = [*self.before, self._command, "run", "--config", str(self.config)]
        environment = os.environ | self.environment
        as_it_is = not self.before and not self.environment
        if as_it_is and self._can_be_forked(environment):
            self._process = Process.forked(command, self._log, environment)
        else:
            self._process = Process(command, self._log, env=environment)
        return self._process

    def stop(self) -> None:
        """SIGTERM; harmless when it does not run."""
        if self._process is not None:
            self._process.stop(30)
            self._process = None

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process = None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.signal(number)

    def restart(self) -> None:
        self.stop()
        self.start()

    # -- looking at it ----------------------------------------------------------------

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def tracebacks(self) -> list[str]:
        """What went wrong inside, so far."""
        return re.findall(r"Traceback \(most recent call last\)[\s\S]{0,2000}", self.log)

    def maildir(self, address: str) -> Path:
        local, _, domain = address.partition("@")
        return self.base / "mail" / domain / local / "Maildir"

    def inbox(self, address: str) -> list[bytes]:
        return messages(self.maildir(address))

    def queue(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.cli("queue", "list", "--json").splitlines()]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def memory(self, what: str = "VmRSS") -> int:
        """Kilobytes: ``VmRSS`` is the memory in use, ``VmHWM`` the most it ever was."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1])

    def processor_time(self) -> float:
        """Seconds, of all its threads, since it was started."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def forget_memory_peak(self) -> None:
        """Let VmHWM begin anew at what is in use now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    # -- talking to it ----------------------------------------------------------------

    def smtp(self, listener: str = "mx", source: str = "", timeout: float = 30) -> smtplib.SMTP:
        """A plain client connection after its EHLO, from ``source`` of 127/8."""
        client = smtplib.SMTP(
            self.address,
            self.ports[listener],
            timeout=timeout,
            source_address=(source, 0) if source else None,
        )
        client.ehlo("client.test")
        return client

    def submission(self, user: str, password: str = PASSWORD) -> smtplib.SMTP:
        """Logged in, with TLS."""
        client = self.smtp("submission")
        client.starttls(context=any_certificate())
        client.ehlo("client.test")
        client.login(user, password)
        return client


def any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _merge(target: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def _toml(settings: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """TOML of nested dicts; JSON's scalars and lists are TOML's."""
    lines = [f"[{'.'.join(map(json.dumps, path))}]"] if path else []
    tables = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            tables.append(_toml(value, (*path, key)))
        else:
            lines.append(f"{json.dumps(key)} = {json.dumps(value)}")
    return "\n".join([*lines, *tables, ""])
