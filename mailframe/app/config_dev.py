"""The configuration of ``mailframe dev``: everything on 127.0.0.1, no limit that a test meets.

It is text, as a person would write it: once the server listens, the text lies beside its mail
(``mailframe-dev/dev.toml``), so that the other commands can be pointed to it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence

from mailframe.app.config import Config, config_of

_TEXT = """\
# Written by `mailframe dev` at each start, for: mailframe --config THIS-FILE trace ...
hostname = "localhost"
base = "."

[auth]
allow_plaintext = true

[listen.smtp]
endpoint = "{smtp}"
role = "mx"

[listen.pop3]
endpoint = "{pop3}"
role = "pop3"

[listen.imap]
endpoint = "{imap}"
role = "imap"

[routes]
"*" = "local"

[policy]
order = ["relay"]

[limits]
connections_per_ip = 0
messages_per_hour_per_user = 0
tarpit = "0s"
imap_connections_per_user = 0
"""


def dev_config(
    base: str,
    *,
    smtp: int,
    pop3: int,
    imap: int,
    certificate: str = "",
    apps: Sequence[str] = (),
) -> Config:
    """Ports, 0 for any free one; ``certificate``: a PEM file with key and certificate, to offer
    STARTTLS and STLS. ``apps``: applications, ``module:app``. Raises ConfigError."""
    ports = {"smtp": smtp, "pop3": pop3, "imap": imap}
    endpoints = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    data = tomllib.loads(dev_text(endpoints))
    data["tls"] = {"certificate": certificate}
    data["apps"] = list(apps)
    return config_of(data, base)


def dev_text(addresses: Mapping[str, str]) -> str:
    """``addresses``: listener -> ``IP:PORT``."""
    return _TEXT.format_map({name: _endpoint(where) for name, where in addresses.items()})


def write_dev_config(base: str, addresses: Mapping[str, str]) -> None:
    """For commands beside the server. Raises OSError."""
    path = os.path.join(base, "dev.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(dev_text(addresses))


def _endpoint(where: str) -> str:
    ip, _, port = where.rpartition(":")
    return f"tcp:{port}:interface={ip}"
