"""Our Authentication-Results: its value, folded, with what a peer said made harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mailframe.core.authentication import (
    ArcResult,
    Authentication,
    DkimResult,
    DmarcResult,
    IprevResult,
    Result,
    SpfResult,
)
from mailframe.mailauth.results.lexical import as_host

# RFC 5322 section 2.1.1: lines should have no more than 78 characters
_LINE = 78
_LONGEST_VALUE = 255
_LONGEST_REASON = 160
# RFC 2045 section 5.1 token
_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+")
# RFC 8601 section 2.2: pvalue may be an address, or the domain of one behind "@"
_ADDRESS = re.compile(r"[!#$%&'*+\-/=?^_`{|}~.0-9A-Za-z]*@[0-9A-Za-z._\-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_NOT_COMMENT = re.compile(r"[^ !-'*-\[\]-~]+")  # printable ASCII but ( ) and backslash


def authentication_results(authserv_id: str, auth: Authentication, *, utf8: bool = False) -> str:
    """The value of our field, folded with CRLF and a tab; empty where nothing was checked.

    ASCII unless ``utf8``, which is for messages of SMTPUTF8 transactions: without it domains
    are in A-labels, and of an address that needs UTF-8 only the domain is told."""
    methods = list(_methods(auth, utf8))
    if not methods:
        return ""
    host = authserv_id if utf8 else as_host(authserv_id)
    lines = [_value(host, utf8)]
    for words in methods:
        lines[-1] += ";"
        lines += _lines(words)
    return "\r\n\t".join(lines)


def _methods(auth: Authentication, utf8: bool) -> Iterator[list[str]]:
    """The words of each method's result."""
    if auth.iprev is not None:
        yield _iprev(auth.iprev, utf8)
    if auth.helo is not None and auth.helo != auth.spf:
        yield _spf(auth.helo, utf8)
    if auth.spf is not None:
        yield _spf(auth.spf, utf8)
    for signature in auth.dkim:
        yield _dkim(signature, utf8)
    if auth.arc is not None:
        yield _arc(auth.arc, utf8)
    if auth.dmarc is not None:
        yield _dmarc(auth.dmarc, utf8)


def _iprev(iprev: IprevResult, utf8: bool) -> list[str]:
    # RFC 8601 section 2.7.3
    words = _head("iprev", iprev.result, iprev.name, iprev.reason, utf8)
    return [*words, *_property("policy.iprev", iprev.ip, utf8)]


def _spf(spf: SpfResult, utf8: bool) -> list[str]:
    # RFC 8601 section 2.7.2
    words = _head("spf", spf.result, "", spf.reason, utf8)
    name = "smtp.helo" if spf.identity == "helo" else "smtp.mailfrom"
    return [*words, *_property(name, _identity(spf.sender or spf.domain, utf8), utf8)]


def _dkim(dkim: DkimResult, utf8: bool) -> list[str]:
    # RFC 8601 section 2.7.1; RFC 6008 for header.b
    bits = f"{dkim.key_bits}-bit key" if dkim.key_bits else ""
    comment = ", ".join(filter(None, [bits, "test mode" * dkim.is_testing]))
    words = _head("dkim", dkim.result, comment, dkim.reason, utf8)
    identity = _identity(dkim.identity, utf8)
    # an identity that is no more than what it defaults to says nothing
    if identity == f"@{dkim.domain}":
        identity = ""
    return [
        *words,
        *_property("header.d", dkim.domain if utf8 else as_host(dkim.domain), utf8),
        *_property("header.i", identity, utf8),
        *_property("header.s", dkim.selector if utf8 else as_host(dkim.selector), utf8),
        *_property("header.a", dkim.algorithm, utf8),
        *_property("header.b", dkim.signature, utf8),
    ]


def _arc(arc: ArcResult, utf8: bool) -> list[str]:
    comment = f"sealed by {', '.join(arc.sealers[:5])}" if arc.sealers else ""
    return _head("arc", arc.result, comment, arc.reason, utf8)


def _dmarc(dmarc: DmarcResult, utf8: bool) -> list[str]:
    # RFC 7489 section 11.1 and the registry: header.from, policy.dmarc
    published = f"p={dmarc.published.value}" if dmarc.record_domain else ""
    override = f"override={dmarc.override}" if dmarc.override else ""
    comment = " ".join(filter(None, [published, override]))
    words = _head("dmarc", dmarc.result, comment, dmarc.reason, utf8)
    domain = dmarc.domain if utf8 else as_host(dmarc.domain)
    words += _property("header.from", domain, utf8)
    if dmarc.record_domain and not dmarc.result:
        words += _property("policy.dmarc", dmarc.action.value, utf8)
    return words


def _head(method: str, result: Result, comment: str, reason: str, utf8: bool) -> list[str]:
    words = [f"{method}={result.value}"]
    if comment:
        words.append(f"({_NOT_COMMENT.sub('?', comment[:_LONGEST_REASON])})")
    if reason:
        words.append(f"reason={_quoted(reason[:_LONGEST_REASON], utf8)}")
    return words


def _property(name: str, value: str, utf8: bool) -> list[str]:
    return [f"{name}={_value(value, utf8)}"] if value else []


def _identity(identity: str, utf8: bool) -> str:
    """An address, or its domain where the rest cannot be written."""
    if utf8:
        return identity
    local, at, domain = identity.rpartition("@")
    if not at:
        return as_host(identity)
    host = as_host(domain)
    if not host.isascii():
        return ""
    return f"{local}@{host}" if local.isascii() else host


def _value(value: str, utf8: bool) -> str:
    """RFC 8601 section 2.2 pvalue: bare where it may be, else a quoted string."""
    if _TOKEN.fullmatch(value) or _ADDRESS.fullmatch(value):
        return value[:_LONGEST_VALUE]
    return _quoted(value[:_LONGEST_VALUE], utf8)


def _quoted(text: str, utf8: bool) -> str:
    text = _CONTROL.sub("?", text)
    if not utf8:
        text = _NOT_ASCII.sub("?", text)
    # a lone surrogate could not be written at all
    text = text.encode("utf-8", "replace").decode("utf-8")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _lines(words: Sequence[str]) -> list[str]:
    """The words on lines that, with the tab before and the semicolon behind, are not too long."""
    lines = [words[0]]
    for word in words[1:]:
        # a tab is shown as up to 8 columns; it is one character
        if len(lines[-1]) + len(word) + 3 > _LINE:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines
