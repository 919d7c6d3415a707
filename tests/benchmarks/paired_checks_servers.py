"""The servers of ``paired_checks``: mailframe with and without its checks, Postfix with milters.

Each judges the client at 127.0.0.1 as a stranger, takes its answers from the test's name server,
and stores for one mailbox. Nothing of the system's own configuration of these programs is read
but rspamd's rules.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from mailframe.app.config_policy import DEFAULT_ORDER
from tests.benchmarks.paired_checks_mail import KEY_NAME
from tests.benchmarks.paired_servers import AS_IT_COMES, MAILBOX, Contender
from tests.interop.peers.dns import Dns
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import Process, free_ports, listens, privately, run

AUTHSERV = "mx.bench.test"
NOBODY = "192.0.2.254"
"""An address that stands for "no trusted client at all"."""


class Unavailable(Exception):
    """The peer cannot be set up here; says why."""


class Judge(Contender):
    """``roots``: the processes whose trees are its cost."""

    def __init__(self, name: str, port: int, roots: Sequence[int], maildir: Path) -> None:
        super().__init__(name, port, roots[0], maildir)
        self.roots = tuple(roots)


Start = Callable[[ExitStack, Path, Dns, Sequence[Path]], Judge]


def checking(ends: ExitStack, directory: Path, dns: Dns, taught: Sequence[Path]) -> Judge:
    return _mailframe(ends, directory, dns, "mailframe", DEFAULT_ORDER, taught)


def authenticating(ends: ExitStack, directory: Path, dns: Dns, taught: Sequence[Path]) -> Judge:
    order = ["relay", "iprev", "helo", "spf", "dkim", "dmarc"]
    return _mailframe(ends, directory, dns, "mailframe, authentication", order, ())


def bare(ends: ExitStack, directory: Path, dns: Dns, taught: Sequence[Path]) -> Judge:
    return _mailframe(ends, directory, dns, "mailframe, no checks", ["relay"], ())


def _mailframe(
    ends: ExitStack,
    directory: Path,
    dns: Dns,
    name: str,
    order: Iterable[str],
    taught: Sequence[Path],
) -> Judge:
    server = Mailframe(directory)
    server.configure(
        policy={"order": list(order), "authserv_id": AUTHSERV}, dns={"servers": [dns.server]}
    )
    server.add_users(MAILBOX)
    for label, letters in zip(("--ham", "--spam"), taught, strict=False):
        server.cli("spam", "learn", label, "--domain", MAILBOX.partition("@")[2], letters)
    server.start()
    ends.callback(server.stop)
    return Judge(name, server.ports["mx"], [server.pid], server.maildir(MAILBOX))


def with_opendkim(ends: ExitStack, directory: Path, dns: Dns, taught: Sequence[Path]) -> Judge:
    """Postfix, OpenDKIM, OpenDMARC and policyd-spf."""
    for program in ("opendkim", "opendmarc", "policyd-spf"):
        _need(program)
    dkim_port, dmarc_port, port = free_ports("127.0.0.1", 3)
    nobody = directory / "nobody"
    nobody.write_text(f"{NOBODY}\n")
    # Its resolver library is not always of use against a name server on loopback. A file is what
    # a warm cache would be.
    keys = directory / "keys"
    keys.write_text(run(["kdig", f"@{dns.address}", "+short", "TXT", KEY_NAME]).stdout)
    keys.write_text(f"{KEY_NAME} " + "".join(keys.read_text().split('"')[1::2]) + "\n")
    dkim = _milter(
        ends,
        directory / "opendkim.conf",
        ["opendkim", "-f", "-x"],
        dkim_port,
        dns,
        {
            "Mode": "v",
            "Socket": f"inet:{dkim_port}@127.0.0.1",
            "AuthservID": AUTHSERV,
            "InternalHosts": str(nobody),
            "AlwaysAddARHeader": "yes",
            "TestPublicKeys": str(keys),
            "Syslog": "no",
        },
    )
    dmarc = _milter(
        ends,
        directory / "opendmarc.conf",
        ["opendmarc", "-f", "-c"],
        dmarc_port,
        dns,
        {
            "Socket": f"inet:{dmarc_port}@127.0.0.1",
            "AuthservID": AUTHSERV,
            "TrustedAuthservIDs": AUTHSERV,
            "IgnoreHosts": str(nobody),
            "RejectFailures": "true",
            "Syslog": "false",
        },
    )
    spf = directory / "policyd-spf.conf"
    spf.write_text(
        "debugLevel = 0\nTestOnly = 1\nHELO_reject = Fail\nMail_From_reject = Fail\n"
        f"skip_addresses = {NOBODY}\nHeader_Type = AR\nAuthserv_Id = {AUTHSERV}\n"
    )
    service = f"policyd-spf unix - n n - 0 spawn user=nobody argv=/usr/bin/policyd-spf {spf}\n"
    postfix = _postfix(
        ends,
        directory / "postfix",
        port,
        dns,
        [dkim_port, dmarc_port],
        service,
        smtpd_recipient_restrictions=(
            "reject_unauth_destination, check_policy_service unix:private/policyd-spf"
        ),
    )
    name = "Postfix, OpenDKIM, OpenDMARC, policyd-spf"
    return Judge(name, port, [postfix, dkim, dmarc], _maildir(directory))


def with_rspamd(ends: ExitStack, directory: Path, dns: Dns, taught: Sequence[Path]) -> Judge:
    """Postfix and rspamd as it comes, without what asks other people: lists, fuzzy hashes, Redis.
    Its filter that learns needs Redis, so it has none."""
    _need("rspamd")
    proxy, port = free_ports("127.0.0.1", 2)
    files = {
        "local.d/options.inc": f'local_addrs = ["{NOBODY}/32"];\n'
        'filters = "chartable,dkim,regexp";\ncheck_local = true;\n'
        f'dns {{ nameserver = ["{dns.address}:53"]; }}\n',
        "local.d/milter_headers.conf": 'use = ["authentication-results", "x-spam-status"];\n'
        "skip_local = false;\n",
        "override.d/worker-normal.inc": "enabled = false;\n",
        "override.d/worker-controller.inc": "enabled = false;\n",
        "override.d/worker-proxy.inc": f'bind_socket = "127.0.0.1:{proxy}";\nmilter = yes;\n'
        'timeout = 60s;\ncount = 1;\nupstream "local" { default = yes; self_scan = yes; }\n',
        "override.d/logging.inc": 'type = "console";\nlevel = "warning";\n',
    }
    for module in ("spf", "dkim", "dmarc"):
        files[f"local.d/{module}.conf"] = "check_local = true;\n"
    for module in ("rbl", "fuzzy_check", "asn", "phishing", "neural", "dcc"):
        files[f"override.d/{module}.conf"] = "enabled = false;\n"
    for name, text in files.items():
        path = directory / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    variables = {"LOCAL_CONFDIR": directory / "etc"}
    for name in ("DBDIR", "RUNDIR", "LOGDIR"):
        variables[name] = directory / name.lower()
        variables[name].mkdir()
        run(["chown", "_rspamd", variables[name]])
    command = ["rspamd", "-f", "-i", "-c", "/etc/rspamd/rspamd.conf"]
    command += [f"--var={name}={path}" for name, path in variables.items()]
    process = _process(ends, command, directory / "rspamd.log", proxy)
    postfix = _postfix(ends, directory / "postfix", port, dns, [proxy])
    return Judge("Postfix, rspamd", port, [postfix, process], _maildir(directory))


def _maildir(directory: Path) -> Path:
    local_part, _, domain = MAILBOX.partition("@")
    return directory / "postfix" / "mail" / domain / local_part


def _postfix(
    ends: ExitStack,
    directory: Path,
    port: int,
    dns: Dns,
    milters: Iterable[int],
    service: str = "",
    **settings: str,
) -> int:
    directory.mkdir()
    server = Postfix(directory, "127.0.0.1", port, AUTHSERV)
    chosen = AS_IT_COMES | {
        "mynetworks": f"{NOBODY}/32",
        "smtpd_peername_lookup": "yes",
        "smtpd_milters": ", ".join(f"inet:127.0.0.1:{each}" for each in milters),
        "milter_default_action": "tempfail",
        **settings,
    }
    server.start(mailboxes=[MAILBOX], resolv_conf=dns.resolv_conf, settings=chosen)
    ends.callback(server.stop)
    if service:
        with (directory / "config" / "master.cf").open("a") as services:
            services.write(service)
        run(["postfix", "-c", directory / "config", "reload"])
    return server.pid


def _milter(
    ends: ExitStack,
    config: Path,
    command: Sequence[str],
    port: int,
    dns: Dns,
    settings: dict[str, str],
) -> int:
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    seen = privately({"/etc/resolv.conf": dns.resolv_conf})
    return _process(ends, [*seen, *command, str(config)], config.with_suffix(".log"), port)


def _process(ends: ExitStack, command: Sequence[str], log: Path, port: int) -> int:
    process = Process(command, log)
    ends.callback(process.stop)
    process.wait_for(lambda: listens("127.0.0.1", port), f"{log.stem} listens", 60)
    return process.pid


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise Unavailable(f"{program} is not installed")


STARTS: dict[str, Start] = {
    "checking": checking,
    "authentication": authenticating,
    "bare": bare,
    "opendkim": with_opendkim,
    "rspamd": with_rspamd,
}
