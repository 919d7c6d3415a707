"""What came in, in ``reports.db``: kept for ``keep`` seconds, and no more than ``most`` reports.

A report that is there already, sent again or by somebody who read of it, changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from mailframe.runtime.database import Database

if TYPE_CHECKING:
    from mailframe.reports.aggregate import AggregateReport, ReportRow
    from mailframe.reports.arf import FailureReport

_PURGED_AT_ONCE = 2_000
_KEPT_APART = ("source_ip", "count", "disposition", "dkim", "spf", "header_from")


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    id: int
    organization: str
    report_id: str
    domain: str
    begins: float
    ends: float
    messages: int
    passed: int
    sender: str
    at: float
    queue_id: str
    detail: dict[str, Any]


class ReportStore:
    """``keep`` in seconds."""

    def __init__(
        self,
        database: Database,
        *,
        keep: float = 400 * 86_400.0,
        most: int = 100_000,
        most_rows: int = 5_000_000,
    ) -> None:
        self._database = database
        self._keep = keep
        self._most = most
        self._most_rows = most_rows

    def add(
        self, report: AggregateReport, *, queue_id: str, sender: str, now: float
    ) -> Deferred[bool]:
        """Fires with False where it is there already."""
        return self._database.write(lambda c: _add(c, report, queue_id, sender, now))

    def add_failure(
        self, report: FailureReport, *, queue_id: str, sender: str, now: float
    ) -> Deferred[None]:
        detail = json.dumps({"fields": report.fields, "header": report.header})
        values = (report.kind, report.domain, report.source_ip, detail, queue_id, sender, now)
        return self._database.write(lambda c: _nothing(c.execute(_ADD_FAILURE, values)))

    def purge(self, now: float) -> Deferred[int]:
        """Remove what is too old or too much; fires with the number of reports removed."""
        return self._database.write(lambda c: self._purged(c, now))

    def _purged(self, connection: sqlite3.Connection, now: float) -> int:
        removed = 0
        for table in ("received", "failures"):
            old = (now - self._keep, _PURGED_AT_ONCE)
            removed += connection.execute(_PURGE_OLD.format(table), old).rowcount
            count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            if count > self._most:
                excess = (min(count - self._most, _PURGED_AT_ONCE),)
                removed += connection.execute(_PURGE_EXCESS.format(table), excess).rowcount
        rows: int = connection.execute("SELECT count(*) FROM received_rows").fetchone()[0]
        if rows > self._most_rows:
            removed += connection.execute(_PURGE_EXCESS.format("received"), (50,)).rowcount
        return removed


def _add(
    connection: sqlite3.Connection, report: AggregateReport, queue_id: str, sender: str, now: float
) -> bool:
    detail = {
        "email": report.email,
        "contact": report.contact,
        "errors": report.errors,
        "policy": report.policy,
        "skipped": report.skipped,
    }
    values = (
        *(report.organization, report.report_id, report.domain, report.begins, report.ends),
        *(report.messages, report.passed, json.dumps(detail), queue_id, sender, now),
    )
    added = connection.execute(_ADD, values)
    if not added.rowcount:
        return False
    number = added.lastrowid
    connection.executemany(
        _ADD_ROW, (_row_values(number, place, row) for place, row in enumerate(report.rows))
    )
    return True


def _row_values(number: int | None, place: int, row: ReportRow) -> Sequence[object]:
    rest = {name: value for name, value in asdict(row).items() if name not in _KEPT_APART}
    return (number, place, *(getattr(row, name) for name in _KEPT_APART), json.dumps(rest))


def _nothing(_: object) -> None:
    return None


def received(
    connection: sqlite3.Connection, *, domain: str = "", limit: int = 1_000
) -> Iterator[ReceivedReport]:
    """The latest first."""
    for row in connection.execute(_LIST, (domain, domain, limit)):
        yield _report(row)


def one(connection: sqlite3.Connection, number: int) -> ReceivedReport | None:
    row = connection.execute(_ONE, (number,)).fetchone()
    return _report(row) if row else None


def _report(row: Sequence[Any]) -> ReceivedReport:
    values = (*row[:-1], json.loads(row[-1]))
    return ReceivedReport(*values)


def rows(connection: sqlite3.Connection, number: int) -> Iterator[dict[str, Any]]:
    """Those with the most messages first."""
    for row in connection.execute(_ROWS, (number,)):
        yield {**dict(zip(_KEPT_APART, row[:-1], strict=True)), **json.loads(row[-1])}


_ADD = """
INSERT INTO received (organization, report_id, domain, begins, ends, messages, passed, detail,
                      queue_id, sender, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_ADD_ROW = """
INSERT INTO received_rows (report, number, source_ip, count, disposition, dkim, spf, header_from,
                           detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_FAILURE = """
INSERT INTO failures (kind, domain, source_ip, detail, queue_id, sender, at)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_PURGE_OLD = "DELETE FROM {0} WHERE id IN (SELECT id FROM {0} WHERE at < ? ORDER BY at LIMIT ?)"
_PURGE_EXCESS = "DELETE FROM {0} WHERE id IN (SELECT id FROM {0} ORDER BY at LIMIT ?)"
_COLUMNS = """
SELECT id, organization, report_id, domain, begins, ends, messages, passed, sender, at, queue_id,
       detail
FROM received
"""
_LIST = _COLUMNS + "WHERE ? = '' OR domain = ? ORDER BY at DESC, id DESC LIMIT ?"
_ONE = _COLUMNS + "WHERE id = ?"
_ROWS = """
SELECT source_ip, count, disposition, dkim, spf, header_from, detail FROM received_rows
WHERE report = ? ORDER BY count DESC, number
"""
