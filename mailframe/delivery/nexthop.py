"""Next hops as people write them in ``[routes]`` and ``relay.smarthost``.

    smtp://host:port      STARTTLS where offered; port 25, with a login 587
    smtps://host:port     TLS from the first octet; port 465
    lmtp://host:port      LMTP, port 24
    lmtp+unix:/path       LMTP over a Unix socket
    pipe:command args     a program
    local                 a mailbox here
    mx                    by DNS, although another rule would catch it
    NAME:next hop         a courier of that name, where there is one

A login goes before the host, percent-encoded where needed: ``smtp://user:pass@host``. With
one TLS is required and the certificate verified, except towards this machine; ``?tls=off``,
``opportunistic`` or ``required`` and ``?verify=yes`` or ``no`` say otherwise.
"""

from __future__ import annotations

import enum
import ipaddress
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from mailframe.core.address import AddressError, normal_domain
from mailframe.delivery.hosts import IF_OFFERED, Credentials, Encryption, Security


class Kind(enum.Enum):
    SMTP = "smtp"
    LMTP = "lmtp"
    PIPE = "pipe"
    LOCAL = "local"
    MX = "mx"
    NAMED = "named"


@dataclass(frozen=True, slots=True)
class NextHop:
    """``host`` is the courier's name where it is NAMED, ``path`` what it is told. ``public`` is the
    text without the password: fit for routes, reports and logs. The
    login stays in it, because two logins at one host are two ways."""

    kind: Kind
    public: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    command: tuple[str, ...] = ()
    security: Security = IF_OFFERED
    credentials: Credentials | None = None


_PORTS = {"smtp": 25, "smtps": 465, "lmtp": 24}
_SUBMISSION = 587  # RFC 6409 section 3.1
_SWITCHES = {"yes": True, "no": False}


def parse_next_hop(text: str, couriers: Collection[str] = ()) -> NextHop:
    """``couriers``: names of those that are not built in. Raises ValueError with a text for the
    administrator, never with the password in it."""
    text = text.strip()
    name, colon, rest = text.partition(":")
    if colon and name in couriers:
        return NextHop(Kind.NAMED, text, host=name, path=rest)
    if text in ("local", "mx"):
        return NextHop(Kind(text), text)
    if text.startswith("pipe:"):
        return _pipe(text)
    if text.startswith("lmtp+unix:"):
        path = text.removeprefix("lmtp+unix:")
        if not path.startswith("/") or "\0" in path:
            raise ValueError("lmtp+unix: needs an absolute path, as in lmtp+unix:/run/lmtp.sock")
        security = Security(Encryption.OFF)
        return NextHop(Kind.LMTP, text, host="localhost", path=path, security=security)
    return _url(text)


def _pipe(text: str) -> NextHop:
    try:
        command = tuple(shlex.split(text.removeprefix("pipe:")))
    except ValueError as error:
        raise ValueError(f"pipe: {error}") from None
    if not command or not command[0].startswith("/"):
        raise ValueError("pipe: needs a program with its whole path, as in pipe:/usr/bin/procmail")
    return NextHop(Kind.PIPE, text, command=command)


def _url(text: str) -> NextHop:
    try:
        url = urlsplit(text)
        host, given_port = url.hostname or "", url.port
    except ValueError:
        raise ValueError("the host or port is malformed") from None
    if url.scheme not in _PORTS:
        raise ValueError("expected smtp://, smtps://, lmtp://, lmtp+unix:, pipe:, local or mx")
    if url.path not in ("", "/") or url.fragment:
        raise ValueError("nothing may follow the port but ?tls= and ?verify=")
    credentials = _credentials(url.username, url.password, host)
    port = given_port or (
        _SUBMISSION if credentials and url.scheme == "smtp" else _PORTS[url.scheme]
    )
    _check_host(host)
    shown = f"[{host}]" if ":" in host else host
    user = f"{quote(credentials.login, safe='')}@" if credentials else ""
    query = f"?{url.query}" if url.query else ""
    return NextHop(
        Kind.LMTP if url.scheme == "lmtp" else Kind.SMTP,
        f"{url.scheme}://{user}{shown}:{port}{query}",
        host=host,
        port=port,
        security=_security(url.scheme, url.query, host, credentials),
        credentials=credentials,
    )


def _credentials(login: str | None, password: str | None, host: str) -> Credentials | None:
    if login is None:
        return None
    if not login or not password:
        raise ValueError("a login needs a name and a password, as in smtp://name:password@host")
    name, secret = unquote(login), unquote(password)
    if "\0" in name + secret:
        raise ValueError("a login holds no NUL")
    return Credentials(name, secret, allow_plaintext=is_this_machine(host))


def _check_host(host: str) -> None:
    if ":" in host:
        return  # urlsplit has checked what stood in brackets
    try:
        normal_domain(host)
    except AddressError as error:
        raise ValueError(f"the host is malformed: {error}") from None


def _security(scheme: str, query: str, host: str, credentials: Credentials | None) -> Security:
    near = is_this_machine(host)
    careful = not near and (credentials is not None or scheme == "smtps")
    encryption = Encryption.REQUIRED if careful else Encryption.OPPORTUNISTIC
    verify = careful
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "tls" and value in ("off", "opportunistic", "required"):
            encryption = Encryption(value)
        elif key == "verify" and value in _SWITCHES:
            verify = _SWITCHES[value]
        else:
            raise ValueError(
                f"?{key} is not known: ?tls=off|opportunistic|required, ?verify=yes|no"
            )
    if scheme == "smtps":
        encryption = Encryption.IMPLICIT
    if verify and encryption is Encryption.OPPORTUNISTIC:
        raise ValueError("?verify=yes needs ?tls=required")
    return Security(encryption, verify)


def is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
