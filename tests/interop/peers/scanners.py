"""Other people's filters as processes of their own on loopback: milters, rspamd, spamd."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.interop.peers.process import Process, free_port, listens, need, run

HOST = "127.0.0.1"


def every_milter(directory: Path) -> tuple[Process, str]:
    """The process, and the address that the milter listens at."""
    if importlib.util.find_spec("Milter") is None:
        pytest.skip("pymilter is not installed")
    port = free_port()
    script = Path(__file__).with_name("every_milter.py")
    command = [sys.executable, str(script), f"inet:{port}@{HOST}"]
    process = Process(command, directory / f"milter{port}.log")
    process.wait_for(lambda: listens(HOST, port), "the milter listens")
    return process, f"inet:{HOST}:{port}"


class OpenDkim:
    """``verifier`` or ``signer`` for ``example.org``, which trust no DNS but a file of keys."""

    def __init__(self, directory: Path) -> None:
        need("opendkim", "opendkim-genkey")
        self._directory = directory
        run(["opendkim-genkey", "-D", directory, "-d", "example.org", "-s", "s1", "-b", "2048"])
        self._key = directory / "s1.private"
        record = "".join(
            piece for piece in (directory / "s1.txt").read_text().split('"')[1::2]
        ).replace(" ", "")
        keys = directory / "keys"
        keys.write_text(f"s1._domainkey.example.org {record}\n")
        self._keys = keys

    def start(self, mode: str) -> tuple[Process, str]:
        path = self._directory / f"{mode}.sock"
        config = self._directory / f"{mode}.conf"
        nobody = self._directory / "nobody"
        nobody.write_text("192.0.2.254\n")
        lines = [
            f"Mode {mode}",
            f"Socket local:{path}",
            "Domain example.org",
            "Selector s1",
            f"KeyFile {self._key}",
            f"TestPublicKeys {self._keys}",
            f"InternalHosts {nobody}",
            "AuthservID mail.example.org",
            "AlwaysAddARHeader yes",
            "RequireSafeKeys no",
            "Syslog no",
            "Canonicalization relaxed/simple",
        ]
        config.write_text("".join(f"{line}\n" for line in lines))
        log = self._directory / f"{mode}.log"
        process = Process(["opendkim", "-f", "-x", str(config)], log)
        process.wait_for(path.exists, "opendkim listens")
        return process, f"unix:{path}"


def rspamd(directory: Path) -> tuple[Process, str]:
    """Its normal worker alone, with its own rules but without network, Redis and DNS."""
    need("rspamd")
    port = free_port()
    for name in ("db", "run", "log"):
        (directory / name).mkdir(exist_ok=True)
        run(["chown", "_rspamd", directory / name])
    config = directory / "rspamd.conf"
    config.write_text(_RSPAMD.format(port=port, host=HOST, directory=directory))
    command = ["rspamd", "-f", "-i", "-c", str(config)]
    process = Process(command, directory / "rspamd.log")
    process.wait_for(lambda: listens(HOST, port), "rspamd listens", 60)
    return process, f"http://{HOST}:{port}"


def spamd(directory: Path) -> tuple[Process, int]:
    """With two rules of ours and none of its own."""
    need("spamd")
    port = free_port()
    rules, site = directory / "rules", directory / "site"
    rules.mkdir()
    site.mkdir()
    (rules / "ours.cf").write_text(_SPAMASSASSIN)
    (site / "v320.pre").write_text("loadplugin Mail::SpamAssassin::Plugin::Check\n")
    command = [
        *("spamd", "--syslog", "stderr", "-L", "-x", "-m", "1", "-i", HOST, "-p", str(port)),
        *("-C", str(rules), "--siteconfigpath", str(site), "-r", str(directory / "spamd.pid")),
        *("-H", str(directory)),
    ]
    process = Process(command, directory / "spamd.log")
    process.wait_for(lambda: listens(HOST, port), "spamd listens", 60)
    return process, port


_RSPAMD = """
.include "$CONFDIR/common.conf"
options {{
    pidfile = "{directory}/run/rspamd.pid";
    tempdir = "{directory}/run";
    dns {{ nameserver = ["{host}:9"]; timeout = 0.1s; retransmits = 1; }}
    filters = "";
    gtube_patterns = "all";
}}
logging {{ type = "console"; level = "info"; }}
worker "normal" {{ bind_socket = "{host}:{port}"; count = 1; }}
"""
_SPAMASSASSIN = """
required_score 5
header FROM_BAD From =~ /bad/
score FROM_BAD 6.5
header FROM_OUR_RECEIVED Received =~ /192\\.0\\.2\\.1/
score FROM_OUR_RECEIVED 0.5
use_bayes 0
"""
