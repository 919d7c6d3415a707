"""Can TLS be offered, and for how long?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from mailframe.app.checks.finding import Finding, fail, ok, warn
from mailframe.app.config import Config
from mailframe.app.wiring import tls_of
from mailframe.runtime.workers import InlineWorkers
from mailframe.tls.certificates import CertificateError, Loaded

_WARN_DAYS = 14


def check_certificates(config: Config) -> Iterator[Finding]:
    if not config.has_certificate:
        fix = "set tls.certificate; until then mail and passwords travel unencrypted"
        yield warn("tls.certificate", "there is no certificate", fix)
        return
    from twisted.internet.task import Clock

    contexts = tls_of(config, InlineWorkers(), Clock())
    try:
        contexts.load()
    except CertificateError as error:
        yield fail("tls.certificate", str(error), "correct [tls] or the files it names")
        return
    for loaded in contexts.certificates:
        yield _validity(loaded)
    names = {name for loaded in contexts.certificates for name in loaded.names}
    if not _covers(names, config.hostname):
        text = f"no certificate is for {config.hostname}, only for {', '.join(sorted(names))}"
        yield warn("tls.hostname", text, "get one that names the hostname")


def _validity(loaded: Loaded) -> Finding:
    days = int((loaded.expires - time.time()) // 86400)
    date = datetime.fromtimestamp(loaded.expires, UTC).date()
    if days < 0:
        text = f"{loaded.path} has expired on {date}"
        return fail("tls.expiry", text, "renew it; the server picks up the new file")
    if days < _WARN_DAYS:
        return warn("tls.expiry", f"{loaded.path} expires on {date}", "renew it now")
    return ok("tls.expiry", f"{loaded.path} is valid for {days} days")


def _covers(names: set[str], hostname: str) -> bool:
    return hostname in names or f"*.{hostname.partition('.')[2]}" in names
