"""A real name server (Knot) that holds the whole name space of a test.

It serves the root zone, so every name it was not told of does not exist, and nothing leaves
the machine. Programs that know only port 53 see it through ``resolv_conf``.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.interop.peers.process import Process, need, need_root, run

Records = Mapping[str, Iterable[str]]
"""Name without the final dot -> records such as ``MX 10 mx.example.test.`` or ``A 127.0.0.3``."""


class Dns:
    """``servfail`` names are zones of which every question ends in SERVFAIL."""

    def __init__(self, directory: Path, address: str) -> None:
        need("knotd", "kdig")
        need_root("port 53")
        self.address = address
        self.server = f"{address}:53"
        self._directory = directory
        self._serial = 0
        self._process: Process | None = None

    def start(self, records: Records, servfail: Iterable[str] = ()) -> None:
        self._write_zone(records)
        config = self._directory / "knot.conf"
        config.write_text(_CONFIG.format(address=self.address, directory=self._directory))
        with config.open("a") as more:
            for zone in servfail:
                more.write(f"  - domain: {zone}\n    file: missing-{zone}.zone\n")
        self._process = Process(["knotd", "-c", str(config)], self._directory / "knot.log")
        self._process.wait_for(self._answers, "Knot answers")

    def change(self, records: Records) -> None:
        """Replace all records; returns when the new ones are served."""
        assert self._process is not None
        self._write_zone(records)
        self._process.signal(signal.SIGHUP)
        self._process.wait_for(self._answers, "Knot reloads")

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    @property
    def resolv_conf(self) -> Path:
        """To be bound over /etc/resolv.conf for a foreign program."""
        path = self._directory / "resolv.conf"
        path.write_text(f"nameserver {self.address}\noptions timeout:1 attempts:2\n")
        return path

    def _write_zone(self, records: Records) -> None:
        self._serial += 1
        lines = [
            "$ORIGIN .",
            "$TTL 2",
            f". SOA ns.invalid. none.invalid. {self._serial} 60 60 60 1",
            ". NS ns.invalid.",
            "ns.invalid. A 127.0.0.1",
        ]
        for name, values in records.items():
            lines += [f"{name}. {value}" for value in values]
        (self._directory / "root.zone").write_text("\n".join(lines) + "\n")

    def _answers(self) -> bool:
        answer = run(["kdig", f"@{self.address}", "+time=1", "+retry=0", "+short", "SOA", "."])
        return f" {self._serial} " in answer.stdout


_CONFIG = """\
server:
    rundir: "{directory}"
    listen: {address}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{directory}"
template:
  - id: default
    storage: "{directory}"
    journal-content: none
    zonefile-load: whole
    zonefile-sync: -1
    semantic-checks: off
zone:
  - domain: .
    file: root.zone
"""
