"""Queries: parameters are found where they are parameters, and what would paste is refused."""

from __future__ import annotations

import pytest

from mailframe.sources.sql.template import check_template, for_postgres

NAMES = ("address", "local_part", "domain")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 FROM u WHERE a = :address",
        "select a::text from u where a = :local_part || '@' || :domain",
        "WITH x AS (SELECT 1) SELECT * FROM x WHERE a LIKE '%' || :address",
        "SELECT COALESCE(forward, '{}') FROM u WHERE a = :address",
        "SELECT '12:30', 'it''s: fine', \"a:b\" FROM u WHERE a = :address",
        "SELECT $$ : $$ FROM u WHERE a = :address AND b % 7 = 1",
        "-- :comment with 'quotes and {braces}\nSELECT 1 WHERE 1 = :address",
        "/* what ? */ SELECT 1 WHERE 1 = :address",
        "  (SELECT :address)",
    ],
)
def test_queries_that_are_fine(text: str) -> None:
    if text.startswith(("--", "/*")):
        text = f"SELECT 1 {text}"
    check_template(text, NAMES)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SELECT 1 FROM u WHERE a = ':address'", "within quotes"),
        ("SELECT 1 FROM u WHERE a LIKE '%:address'", "within quotes"),
        ('SELECT 1 FROM u WHERE ":domain" = :address', "within quotes"),
        ("SELECT $x$ :address $x$, :address", "within quotes"),
        ("SELECT E'\\':address' FROM u WHERE a = :address", "within quotes"),
        ("SELECT 1 FROM u WHERE a = '%s' OR a = :address", "within quotes"),
        ("SELECT 1 FROM u WHERE a = '%u@%d' OR a = :address", "within quotes"),
        ("SELECT 1 FROM u WHERE a = '{address}' OR a = :address", "within quotes"),
        ("SELECT 1 FROM u WHERE a = '%(address)s' OR a = :address", "within quotes"),
        ("SELECT 1 FROM u WHERE a = %s", "bound and never pasted"),
        ("SELECT 1 FROM u WHERE a = %(address)s", "bound and never pasted"),
        ("SELECT 1 FROM u WHERE a = {address}", "bound and never pasted"),
        ("SELECT 1 FROM u WHERE a = ?", "bound and never pasted"),
        ("SELECT 1 FROM u WHERE a = $1", "bound and never pasted"),
        ("SELECT 1 FROM u WHERE a = @address", "bound and never pasted"),
        ("SELECT 1 FROM u WHERE a = :adress", "did you mean :address"),
        ("SELECT 1 FROM u WHERE a = :login", "there is only"),
        ("SELECT 1 FROM u", "no parameter"),
        ("SELECT 1 WHERE a = :address; DROP TABLE u", "semicolon"),
        ("SELECT 1 WHERE a = :address;", "semicolon"),
        ("DELETE FROM u WHERE a = :address", "SELECT or WITH"),
        ("", "SELECT or WITH"),
        ("SELECT 'never closed WHERE a = :address", "never closed"),
        ("SELECT 1 /* never closed WHERE a = :address", "never closed"),
        ("SELECT 1\0 WHERE a = :address", "NUL"),
        ("SELECT " + "1," * 20_000 + ":address", "too long"),
    ],
)
def test_queries_that_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_template(text, NAMES)


def test_what_psycopg_reads() -> None:
    text = "SELECT a::text, '100%', b % 2 FROM u WHERE a LIKE '%' || :domain -- 5%\n AND :address"
    assert for_postgres(text) == (
        "SELECT a::text, '100%%', b %% 2 FROM u WHERE a LIKE '%%' || %(domain)s -- 5%%\n"
        " AND %(address)s"
    )
