"""What a database engine must be able to do for a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mailframe.errors import TransientFailure
from mailframe.sources.rotation import CANNOT_ASK

MOST_ROWS = 10_000
"""Of one answer; more than that is a query that forgot its WHERE."""

Row = Mapping[str, Any]


class QueryFailed(TransientFailure):
    """The server is there and refuses the query, or takes too long over it."""

    def __init__(self, detail: str) -> None:
        super().__init__(CANNOT_ASK, detail)


class SqlServer(Protocol):
    @property
    def label(self) -> str:
        """For logs, without a password."""

    async def ask(self, query: str, parameters: Mapping[str, str]) -> Sequence[Row]:
        """The rows, column names in lower case. ``query`` has ``:name`` parameters.

        Raises ServerDown where another server may know more, and QueryFailed."""

    async def columns(self, query: str, parameters: Mapping[str, str]) -> Sequence[str]:
        """Those that the rows have, or would have, in lower case. Raises as ``ask``."""

    def close(self) -> None:
        """Connections are not kept any longer."""


def bounded(rows: Sequence[Row]) -> list[Row]:
    """Raises QueryFailed for more than ``MOST_ROWS``."""
    if len(rows) > MOST_ROWS:
        raise QueryFailed(f"the query yields more than {MOST_ROWS} rows")
    return [{str(name).lower(): value for name, value in row.items()} for row in rows]
