"""What a domain decides for itself: written by commands, seen by the server at once."""

from __future__ import annotations

import sqlite3

import pytest

from mailframe.accounts.domain_settings import KEYS, DomainSettings
from mailframe.accounts.errors import InvalidEntry, NoSuchMailDomain
from tests.unit.accounts.house import House, now


@pytest.fixture
def admin(house: House):
    house.admin.add_domain("example.test")
    return house.admin


def test_a_domain_is_its_own_tenant_and_leaves_the_rest_to_the_configuration(house, admin) -> None:
    expected = DomainSettings("example.test")
    assert admin.settings("Example.Test") == expected
    assert now(house.directory.settings("example.test")) == expected


def test_a_domain_that_is_not_here_has_the_defaults(house) -> None:
    assert now(house.directory.settings("elsewhere.test")) == DomainSettings("elsewhere.test")
    with pytest.raises(NoSuchMailDomain):
        house.admin.settings("elsewhere.test")
    with pytest.raises(NoSuchMailDomain):
        house.admin.set_domain("elsewhere.test", "junk", "1")


def test_the_running_server_sees_a_change_at_once(house, admin) -> None:
    for key, value in {"tenant": "Acme", "junk": "4.5", "reject": "0", "share": "site"}.items():
        admin.set_domain("example.test", key, value)
    assert now(house.directory.settings("example.test")) == DomainSettings(
        "Acme", junk=4.5, reject=0.0, share="site"
    )
    for key in KEYS:
        admin.set_domain("example.test", key, None)
    assert now(house.directory.settings("example.test")) == DomainSettings("example.test")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("junk", "much"),
        ("junk", "nan"),
        ("junk", "inf"),
        ("junk", "-1"),
        ("junk", "1e9"),
        ("junk", ""),
        ("reject", "5 points"),
        ("share", "everybody"),
        ("share", "Site"),
        ("tenant", ""),
        ("tenant", " a"),
        ("tenant", "a\nb"),
        ("tenant", "\0"),
        ("tenant", "x" * 65),
        ("colour", "red"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(admin, key: str, value: str) -> None:
    with pytest.raises(InvalidEntry, match=key):
        admin.set_domain("example.test", key, value)
    assert admin.settings("example.test") == DomainSettings("example.test")


def test_there_is_nothing_to_unset_by_a_name_that_is_no_setting(admin) -> None:
    with pytest.raises(InvalidEntry, match="tenant, junk, reject, share"):
        admin.set_domain("example.test", "colour", None)


def test_a_row_of_a_later_release_is_not_believed(house, admin) -> None:
    """Whoever goes back to this release keeps the row, and mail is judged by the defaults."""

    def meddle(connection: sqlite3.Connection) -> None:
        connection.executemany(
            "INSERT INTO domain_settings VALUES ('example.test', ?, ?)",
            [("junk", "auto"), ("colour", "red"), ("share", "tenant"), ("reject", "9")],
        )

    now(house.database.write(meddle))
    assert admin.settings("example.test") == DomainSettings("example.test", reject=9.0)


def test_a_tenant_from_the_start(house) -> None:
    house.admin.add_domain("a.test", tenant="Acme")
    assert house.admin.settings("a.test").tenant == "Acme"
    with pytest.raises(InvalidEntry):
        house.admin.add_domain("b.test", tenant="")
    assert [domain.name for domain in house.admin.domains()] == ["a.test"]


def test_settings_go_with_their_domain(house, admin) -> None:
    admin.set_domain("example.test", "junk", "3")
    admin.remove_domain("example.test")
    admin.add_domain("example.test")
    assert admin.settings("example.test").junk is None
