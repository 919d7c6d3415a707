"""The life of a key: waiting, signing, retired; and who may destroy it when."""

from __future__ import annotations

import re

import pytest

from mailframe.accounts.dkim_keys import OVERLAP_SECONDS, DkimKeys, KeyState
from mailframe.accounts.errors import (
    AlreadyExists,
    InUse,
    InvalidEntry,
    NoSuchKey,
    NoSuchMailDomain,
)
from tests.unit.accounts.house import House

RSA, ED = "rsa-sha256", "ed25519-sha256"
NOVEMBER = 1_795_600_000.0  # 2026-11-25


@pytest.fixture
def keys(house: House) -> DkimKeys:
    house.clock.advance(NOVEMBER)
    house.admin.add_domain("example.test")
    return DkimKeys(house.database, house.clock.seconds)


def states(keys: DkimKeys, domain: str = "example.test") -> dict[str, str]:
    return {key.selector: key.state.value for key in keys.keys(domain)}


def test_the_first_keys_sign_at_once(keys: DkimKeys) -> None:
    made = keys.create("Example.TEST", [RSA, ED])
    assert [key.selector for key in made] == ["rsa202611", "ed202611"]
    assert keys.keys("example.test") == made
    assert states(keys) == {"rsa202611": "signing", "ed202611": "signing"}
    assert made[0].record_name == "rsa202611._domainkey.example.test"
    assert re.match(r"v=DKIM1; k=rsa; p=MII", made[0].record)
    assert re.match(r"v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=$", made[1].record)


def test_later_ones_wait_under_names_of_their_own(keys: DkimKeys) -> None:
    keys.create("example.test", [ED])
    keys.create("example.test", [ED])
    keys.create("example.test", [ED], "Mine")
    assert states(keys) == {"ed202611": "signing", "ed202611-2": "waiting", "mine": "waiting"}


def test_a_rotation_overlaps(house: House, keys: DkimKeys) -> None:
    keys.create("example.test", [ED])
    made = keys.rotate("example.test")
    assert states(keys) == {"ed202611": "signing", "ed202611-2": "waiting"}
    with pytest.raises(AlreadyExists, match=r"ed202611-2 of example\.test waits"):
        keys.rotate("example.test")
    house.clock.advance(3600)
    [retired] = keys.activate("example.test", [made[0].selector])
    assert retired.selector == "ed202611"
    assert states(keys) == {"ed202611": "retired", "ed202611-2": "signing"}

    [old, new] = keys.keys("example.test")
    now = house.clock.seconds()
    assert old.needed_until == now + OVERLAP_SECONDS
    assert old.is_published(now + OVERLAP_SECONDS - 1)
    assert not old.is_published(now + OVERLAP_SECONDS)
    assert new.is_published(now + 100 * OVERLAP_SECONDS)


def test_activating_touches_no_other_algorithm(keys: DkimKeys) -> None:
    keys.create("example.test", [RSA, ED])
    keys.create("example.test", [ED], "next")
    keys.activate("example.test", ["next"])
    assert states(keys) == {"rsa202611": "signing", "ed202611": "retired", "next": "signing"}


def test_activating_twice_changes_nothing_more(house: House, keys: DkimKeys) -> None:
    keys.create("example.test", [ED])
    before = keys.keys("example.test")
    house.clock.advance(60)
    assert keys.activate("example.test", ["ED202611"]) == []
    assert keys.keys("example.test") == before


def test_back_to_a_retired_key(keys: DkimKeys) -> None:
    keys.create("example.test", [ED])
    keys.rotate("example.test")
    keys.activate("example.test", ["ed202611-2"])
    keys.activate("example.test", ["ed202611"])
    assert states(keys) == {"ed202611": "signing", "ed202611-2": "retired"}


def test_nothing_is_activated_where_one_is_not_there(keys: DkimKeys) -> None:
    keys.create("example.test", [ED])
    keys.rotate("example.test")
    with pytest.raises(NoSuchKey):
        keys.activate("example.test", ["ed202611-2", "other"])
    assert states(keys) == {"ed202611": "signing", "ed202611-2": "waiting"}


def test_a_key_stays_as_long_as_somebody_needs_it(house: House, keys: DkimKeys) -> None:
    keys.create("example.test", [ED])
    with pytest.raises(InUse, match="signs the mail"):
        keys.remove("example.test", "ed202611")
    keys.rotate("example.test")
    keys.activate("example.test", ["ed202611-2"])
    with pytest.raises(InUse, match=r"under way until 2026-12-0\d"):
        keys.remove("example.test", "ed202611")
    house.clock.advance(OVERLAP_SECONDS)
    keys.remove("example.test", "ed202611")
    keys.remove("example.test", "ed202611-2", force=True)
    assert states(keys) == {}
    with pytest.raises(NoSuchKey):
        keys.remove("example.test", "ed202611")


def test_a_key_that_waits_may_go(keys: DkimKeys) -> None:
    keys.create("example.test", [ED])
    keys.rotate("example.test")
    keys.remove("example.test", "ed202611-2")
    assert states(keys) == {"ed202611": "signing"}


@pytest.mark.parametrize(
    "bad", ["", "a b", "a_b", "-a", "a-", "a..b", ".a", "ключ", "a" * 64, "a;b", "a\0", "a\n"]
)
def test_no_selector(keys: DkimKeys, bad: str) -> None:
    with pytest.raises(InvalidEntry):
        keys.create("example.test", [ED], bad)
    assert states(keys) == {}


def test_a_name_that_no_dns_holds(house: House, keys: DkimKeys) -> None:
    long = ".".join(["a" * 50] * 4)
    house.admin.add_domain(f"{long}.test")
    with pytest.raises(InvalidEntry, match="too long"):
        keys.create(f"{long}.test", [ED], "b" * 60)


def test_a_selector_is_given_once(keys: DkimKeys) -> None:
    keys.create("example.test", [ED], "one")
    with pytest.raises(AlreadyExists):
        keys.create("example.test", [RSA], "ONE")


def test_there_is_an_end_to_keys(keys: DkimKeys) -> None:
    for _ in range(20):
        keys.create("example.test", [ED])
    with pytest.raises(InUse, match="has 20 keys"):
        keys.create("example.test", [ED])
    assert len(states(keys)) == 20


def test_no_domain_no_key(house: House, keys: DkimKeys) -> None:
    for attempt in (
        lambda: keys.keys("other.test"),
        lambda: keys.create("other.test", [ED]),
        lambda: keys.rotate("other.test"),
        lambda: keys.activate("other.test", ["x"]),
        lambda: keys.remove("other.test", "x"),
    ):
        with pytest.raises(NoSuchMailDomain):
            attempt()
    with pytest.raises(NoSuchKey, match="mailframe dkim new"):
        keys.rotate("example.test")


def test_keys_go_with_their_domain(house: House, keys: DkimKeys) -> None:
    keys.create("example.test", [ED])
    house.admin.remove_domain("example.test")
    house.admin.add_domain("example.test")
    assert states(keys) == {}


def test_a_key_in_a_log_tells_nothing(keys: DkimKeys) -> None:
    [key] = keys.create("example.test", [ED])
    assert repr(key) == "<DkimKey ed202611._domainkey.example.test signing>"
    assert key.state is KeyState.SIGNING
