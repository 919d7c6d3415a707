"""Reports about single messages: ARF (RFC 5965) and its kind for failed checks (RFC 6591, 9991)."""

from __future__ import annotations

import email.utils
import ipaddress
import re
from dataclasses import dataclass

from mailframe.core.facts import Part
from mailframe.mailauth.dmarc.names import a_label
from mailframe.message import headers
from mailframe.message.sections import UnknownEncoding, decoded
from mailframe.reports.aggregate import ReportRefused

_MAX_FIELDS_OCTETS = 64 * 1024
_MAX_FIELDS = 200
_MAX_TEXT = 4_096
_MAX_HEADER = 16 * 1024
_FEEDBACK = "message/feedback-report"
_HEADERS = ("text/rfc822-headers", "message/rfc822", "message/global", "message/global-headers",
            "message/rfc822-headers")  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True)
class FailureReport:
    kind: str
    """Feedback-Type in lower case: ``abuse``, ``auth-failure`` ..."""
    fields: dict[str, tuple[str, ...]]
    """By name in lower case; several values where there are several fields."""
    header: str = ""
    """The header section of the message it is about, as far as it was sent along."""

    def first(self, name: str) -> str:
        return self.fields.get(name, ("",))[0]

    @property
    def domain(self) -> str:
        """The domain reported, in A-labels."""
        return a_label(self.first("reported-domain"))

    @property
    def source_ip(self) -> str:
        words = self.first("source-ip").split()
        try:
            return str(ipaddress.ip_address(words[0].strip("[]"))) if words else ""
        except ValueError:
            return ""

    @property
    def arrived(self) -> float | None:
        """Arrival-Date in seconds since the epoch."""
        try:
            text = self.first("arrival-date") or self.first("received-date")
            return email.utils.parsedate_to_datetime(text).timestamp()
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def incidents(self) -> int:
        text = self.first("incidents")
        return int(text) if re.fullmatch("[0-9]{1,9}", text) else 1


def read_failure(message: bytes, leaves: list[Part]) -> FailureReport | None:
    """None where there is no such report among the parts. Raises ReportRefused."""
    report = next((part for part in leaves if part.media == _FEEDBACK), None)
    if report is None:
        return None
    try:
        octets = decoded(message, report)
    except UnknownEncoding as error:
        raise ReportRefused("a feedback report in an unknown encoding") from error
    if len(octets) > _MAX_FIELDS_OCTETS:
        raise ReportRefused("a feedback report that is too long")
    fields: dict[str, tuple[str, ...]] = {}
    for number, field in enumerate(headers.fields(octets.lstrip(b"\r\n"))):
        if number >= _MAX_FIELDS:
            raise ReportRefused("a feedback report of too many fields")
        text = _CONTROL.sub(" ", field.text)[:_MAX_TEXT]
        fields[field.name.lower()] = (*fields.get(field.name.lower(), ()), text)
    kind = fields.get("feedback-type", ("",))[0].strip().lower()
    # RFC 5965 section 3.1: Feedback-Type, User-Agent and Version are required
    if not re.fullmatch(r"[a-z0-9-]{1,40}", kind):
        raise ReportRefused("a feedback report without Feedback-Type")
    return FailureReport(kind, fields, _original(message, leaves))


def _original(message: bytes, leaves: list[Part]) -> str:
    for part in leaves:
        if part.media in _HEADERS:
            octets = message[part.body : part.end]
            if part.encoding in ("base64", "quoted-printable"):
                octets = decoded(message, part)
            return headers.split_message(octets)[0][:_MAX_HEADER].decode("utf-8", "replace")
    return ""
