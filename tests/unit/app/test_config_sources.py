"""Settings of accounts that others keep: what is refused, and what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailframe.app.config import config_of
from mailframe.app.config_checks import cross_checks
from mailframe.app.config_settings import settings_of
from mailframe.errors import ConfigError

SQL = {"servers": ["sqlite:a.db"], "domains": ["a.test"], "find": "SELECT :address"}
HTTP = {"domains": ["a.test"], "check": ["https://a.test/"]}


def config(tmp_path: Path, checkers: list[str], **tables: Any) -> Any:
    base = {
        "hostname": "mx.test",
        "base": "state",
        "listen": {"mx": {"endpoint": "tcp:0", "role": "mx"}},
        "auth": {"checkers": checkers},
    }
    return config_of(base | tables, str(tmp_path))


def problems(tmp_path: Path, kind: str, table: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as refused:
        config(tmp_path, ["directory", f"{kind}:x"], **{kind: {"x": table}})
    return str(refused.value)


def test_a_table_for_each_checker(tmp_path: Path) -> None:
    made = config(tmp_path, ["sql:x"], sql={"x": SQL | {"domains": ["Bücher.test"]}})
    assert made.sql["x"].domains == ("xn--bcher-kva.test",)
    assert made.sql["x"].servers == (f"sqlite:{tmp_path / 'a.db'}",)
    assert made.sql["x"].cache == 60


@pytest.mark.parametrize(
    ("checkers", "tables", "why"),
    [
        (["sql:x"], {}, "there is no [sql.x]"),
        (["sql:ofice"], {"sql": {"office": SQL}}, "did you mean"),
        (["directory"], {"sql": {"x": SQL}}, "does nothing"),
        (["sql"], {}, "names no table"),
        (["sql:a/b"], {}, "names no table"),
        (["sql:x", "sql:x"], {"sql": {"x": SQL}}, "twice"),
        (["directory"], {"sql": {"a b": SQL}}, "must be a name"),
    ],
)
def test_checkers_and_tables_go_together(
    tmp_path: Path, checkers: list[str], tables: dict[str, Any], why: str
) -> None:
    try:
        made = config(tmp_path, checkers, **tables)
        found = " ".join(message for _, message in cross_checks(made, {}))
    except ConfigError as error:
        found = str(error)
    assert why in found


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"find": "SELECT ':address'"}, "within quotes"),
        ({"find": "SELECT %(address)s"}, "never pasted"),
        ({"find": "SELECT :login"}, "there is only"),
        ({"password_query": "SELECT '%s', :login"}, "within quotes"),
        ({"domain_query": "SELECT :address"}, "there is only"),
        ({"find": "DROP TABLE users"}, "SELECT or WITH"),
        ({"find": ""}, "needs a query"),
        ({"domains": []}, "whose users"),
        ({"domains": ["[192.0.2.1]"]}, "address literal"),
        ({"servers": []}, "must not be empty"),
        ({"servers": ["mysql://x"]}, "expected"),
        ({"servers": ["postgresql://u:secret@h/d"]}, "has a password"),
        ({"servers": ["postgresql://h:99999999/d"]}, "is no URL"),
        ({"connections": 0}, "at least 1"),
        ({"timeout": "0s"}, "longer than"),
    ],
)
def test_sql_settings_that_are_refused(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    assert why in problems(tmp_path, "sql", SQL | change)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"check": ["http://portal.test/"]}, "HTTPS only"),
        ({"check": ["http://localhost/"]}, "HTTPS only"),
        ({"check": ["https://u:p@portal.test/"]}, "user name"),
        ({"check": ["https://portal.test/a b"]}, "spaces"),
        ({"check": ["portal.test"]}, "not an HTTPS URL"),
        ({"check": []}, "needs a URL"),
        ({"header": "X: y"}, "header field"),
        ({"secret": "a\r\nb"}, "one line"),
        ({"secret": ""}, "one line"),
        ({"domains": []}, "must not be empty"),
    ],
)
def test_http_settings_that_are_refused(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    assert why in problems(tmp_path, "http", HTTP | change)
    config(tmp_path, ["http:x"], http={"x": HTTP | {"check": ["http://127.0.0.1:8000/"]}})


@pytest.mark.parametrize("service", ["../x", "a/b", "", "..", "a b"])
def test_pam_services_that_are_refused(tmp_path: Path, service: str) -> None:
    found = problems(tmp_path, "pam", {"domains": ["a.test"], "service": service})
    assert "not the name of a PAM service" in found


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    tables = {"sql": {"x": SQL | {"password": "hush"}}, "http": {"x": HTTP | {"secret": "hush"}}}
    made = config(tmp_path, ["sql:x", "http:x"], **tables)
    assert "hush" not in repr(made)
    assert "hush" not in repr(list(settings_of(made)))
