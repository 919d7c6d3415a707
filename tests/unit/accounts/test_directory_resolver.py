"""Whose address is it, and the tricks that must not relay."""

from __future__ import annotations

import pytest

from mailframe.accounts.file_checker import FileChecker
from mailframe.core.address import Address
from mailframe.core.resolution import Elsewhere, Expanded, Local, Moved, Refused
from tests.unit.accounts.house import House, now

pytestmark = pytest.mark.usefixtures("hashes")


@pytest.fixture
def peopled(house: House) -> House:
    house.admin.add_domain("example.test")
    house.admin.add_domain("bücher.test")
    for user in ("ann@example.test", "bob@example.test", "eve@bücher.test"):
        house.admin.add_user(user, "secret")
    return house


def accounts(resolution) -> list[str]:
    assert isinstance(resolution, Expanded)
    return [str(t.mailbox.account if t.mailbox else t.address) for t in resolution.targets]


@pytest.mark.parametrize(
    ("address", "account"),
    [
        ("ann@example.test", "ann@example.test"),
        ("ANN@EXAMPLE.TEST", "ann@example.test"),
        ("ann+shop@example.test", "ann@example.test"),
        ("Ann+a+b@example.test", "ann@example.test"),
        ('"ann"@example.test', "ann@example.test"),
        ("eve@bücher.test", "eve@xn--bcher-kva.test"),
        ("eve@BÜCHER.test", "eve@xn--bcher-kva.test"),
        ("eve@xn--bcher-kva.test", "eve@xn--bcher-kva.test"),
    ],
)
def test_a_user(peopled: House, address: str, account: str) -> None:
    assert peopled.resolve(address) == Local(account)


@pytest.mark.parametrize(
    "address",
    [
        "nobody@example.test",
        "bob%far.test@example.test",
        '"bob@far.test"@example.test',
        "far.test!bob@example.test",
        '"@far.test:bob"@example.test',
        '"ann@example.test"@example.test',
        "+ann@example.test",
        "+@example.test",
        '" ann"@example.test',
        '"ann "@example.test',
        "ann%example.test@example.test",
        "x" * 64 + "@example.test",
        "bob@far.test%example.test@example.test".replace("@far", "%far"),
    ],
)
def test_nobody_of_ours_is_refused_and_never_elsewhere(peopled: House, address: str) -> None:
    resolution = peopled.resolve(address)
    assert isinstance(resolution, Refused)
    assert str(resolution.reply).startswith("550 5.1.1 ")


@pytest.mark.parametrize(
    "address", ["ann@far.test", "ann@sub.example.test", "ann@[192.0.2.99]", "ann@[x:y]"]
)
def test_other_domains_are_elsewhere(peopled: House, address: str) -> None:
    assert peopled.resolve(address, own_addresses=["192.0.2.1"]) == Elsewhere()


def test_a_disabled_user(peopled: House) -> None:
    peopled.admin.set_disabled("ann@example.test", True)
    resolution = peopled.resolve("ann+x@example.test")
    assert isinstance(resolution, Refused)
    assert str(resolution.reply).startswith("550 5.2.1 ")


def test_a_moved_address(peopled: House) -> None:
    peopled.admin.add_moved("old@example.test", "new@far.test")
    assert peopled.resolve("old+x@example.test") == Moved(Address("new", "far.test"))
    peopled.admin.add_alias("team@example.test", ["old@example.test", "ann@example.test"])
    assert accounts(peopled.resolve("team@example.test")) == ["ann@example.test", "new@far.test"]


def test_moved_in_a_circle(peopled: House) -> None:
    peopled.admin.add_moved("x@example.test", "y@example.test")
    peopled.admin.add_moved("y@example.test", "x@example.test")
    peopled.admin.add_alias("team@example.test", ["x@example.test", "ann@example.test"])
    assert accounts(peopled.resolve("team@example.test")) == ["ann@example.test"]


class TestAliases:
    def test_are_followed_to_the_end(self, peopled: House) -> None:
        admin = peopled.admin
        admin.add_alias("all@example.test", ["staff@example.test", "far@far.test"], is_list=True)
        admin.add_alias("staff@example.test", ["ann@example.test", "eve@bücher.test"])
        resolution = peopled.resolve("All@example.test")
        assert accounts(resolution) == [
            "far@far.test",
            "ann@example.test",
            "eve@xn--bcher-kva.test",
        ]
        assert resolution.is_list

    def test_keep_the_detail_of_a_target_but_name_the_account(self, peopled: House) -> None:
        peopled.admin.add_alias("sales@example.test", ["ann+sales@example.test"])
        (target,) = peopled.resolve("sales+spring@example.test").targets
        assert str(target.address) == "ann+sales@example.test"
        assert target.mailbox == Local("ann@example.test")

    def test_a_copy_stays_with_the_user_of_the_same_name(self, peopled: House) -> None:
        peopled.admin.add_alias("ann@example.test", ["ann@example.test", "ann@far.test"])
        assert accounts(peopled.resolve("ann@example.test")) == ["ann@example.test", "ann@far.test"]

    def test_a_loop_is_cut(self, peopled: House) -> None:
        for one, two in (("a", "b"), ("b", "c"), ("c", "a")):
            peopled.admin.add_alias(f"{one}@example.test", [f"{two}@example.test"])
        assert isinstance(peopled.resolve("a@example.test"), Refused)
        peopled.admin.add_alias("b@example.test", ["bob@example.test"])
        assert accounts(peopled.resolve("a@example.test")) == ["bob@example.test"]

    def test_one_mailbox_gets_one_copy(self, peopled: House) -> None:
        peopled.admin.add_alias("one@example.test", ["ann@example.test", "X@far.test"])
        peopled.admin.add_alias(
            "two@example.test", ["one@example.test", "ann+x@example.test", "x@FAR.test"]
        )
        assert accounts(peopled.resolve("two@example.test")) == ["ann@example.test", "x@far.test"]

    def test_dead_targets_are_left_out(self, peopled: House) -> None:
        peopled.admin.set_disabled("bob@example.test", True)
        peopled.admin.add_alias(
            "team@example.test", ["bob@example.test", "gone@example.test", "ann@example.test"]
        )
        assert accounts(peopled.resolve("team@example.test")) == ["ann@example.test"]

    def test_only_dead_targets_refuse(self, peopled: House) -> None:
        peopled.admin.add_alias("team@example.test", ["gone@example.test"])
        assert isinstance(peopled.resolve("team@example.test"), Refused)

    def test_a_thousand_targets(self, peopled: House) -> None:
        targets = [f"user{n}@far.test" for n in range(1000)]
        peopled.admin.add_alias("all@example.test", targets)
        assert accounts(peopled.resolve("all@example.test")) == targets

    def test_too_many_targets_are_a_temporary_refusal(self, peopled: House) -> None:
        peopled.admin.add_alias("all@example.test", [f"u{n}@far.test" for n in range(10_001)])
        assert peopled.resolve("all@example.test").reply.is_transient


class TestCatchAll:
    def test_takes_what_nobody_else_does(self, peopled: House) -> None:
        peopled.admin.add_alias("@example.test", ["bob@example.test"])
        assert accounts(peopled.resolve("whoever+x@example.test")) == ["bob@example.test"]
        assert peopled.resolve("ann+x@example.test") == Local("ann@example.test")
        assert isinstance(peopled.resolve("whoever@bücher.test"), Refused)

    def test_keeps_percent_and_quoted_tricks_here(self, peopled: House) -> None:
        peopled.admin.add_alias("@example.test", ["bob@example.test"])
        for trick in ("x%far.test@example.test", '"x@far.test"@example.test'):
            assert accounts(peopled.resolve(trick)) == ["bob@example.test"]

    def test_pointing_to_nobody_of_its_own_ends(self, peopled: House) -> None:
        peopled.admin.add_alias("@example.test", ["gone@example.test"])
        assert isinstance(peopled.resolve("x@example.test"), Refused)


class TestPostmaster:
    def test_is_the_eldest_user_of_the_domain(self, peopled: House) -> None:
        assert peopled.resolve("PostMaster@example.test") == Local("ann@example.test")
        assert peopled.resolve("abuse@bücher.test") == Local("eve@xn--bcher-kva.test")

    def test_without_a_domain(self, peopled: House) -> None:
        assert peopled.resolve(Address("Postmaster", "")) == Local("ann@example.test")

    def test_of_a_domain_without_users_is_the_eldest_of_all(self, peopled: House) -> None:
        peopled.admin.add_domain("empty.test")
        assert peopled.resolve("postmaster@empty.test") == Local("ann@example.test")

    def test_of_the_host_and_of_our_address_literals(self, peopled: House) -> None:
        for domain in ("mx.host.test", "[192.0.2.1]", "[IPv6:2001:db8::1]"):
            address = Address.build("postmaster", domain)
            own = ["192.0.2.1", "2001:db8::1"]
            assert peopled.resolve(address, own_addresses=own) == Local("ann@example.test")

    def test_others_at_the_host_name_are_refused_and_not_relayed_to_ourselves(
        self, peopled: House
    ) -> None:
        assert isinstance(peopled.resolve("ann@mx.host.test"), Refused)
        assert isinstance(peopled.resolve("ann@[192.0.2.1]", own_addresses=["192.0.2.1"]), Refused)

    def test_as_configured(self, peopled: House) -> None:
        far = Address.parse("root@far.test")
        assert accounts(peopled.resolve("postmaster@example.test", postmaster=far)) == [
            "root@far.test"
        ]
        local = Address.parse("bob@example.test")
        assert accounts(peopled.resolve("abuse@bücher.test", postmaster=local)) == [
            "bob@example.test"
        ]

    def test_configured_to_be_the_postmaster(self, peopled: House) -> None:
        own = Address.parse("postmaster@example.test")
        assert accounts(peopled.resolve("abuse@bücher.test", postmaster=own)) == [
            "ann@example.test"
        ]

    def test_a_user_or_alias_of_that_name_comes_first(self, peopled: House) -> None:
        peopled.admin.add_alias("postmaster@example.test", ["bob@example.test"])
        assert accounts(peopled.resolve("postmaster@example.test")) == ["bob@example.test"]

    def test_of_nobody_at_all(self, house: House) -> None:
        house.admin.add_domain("example.test")
        assert isinstance(house.resolve("postmaster@example.test"), Refused)


def test_users_of_a_file_are_accounts(house: House, tmp_path) -> None:
    path = tmp_path / "users"
    path.write_text("zoe@file.test:{PLAIN}x\nbare:{PLAIN}x\n")
    checker = FileChecker(str(path), house.passwords, house.workers, default_domain="example.test")
    resolver = house.resolver(checker)

    def resolve(text: str):
        return now(resolver.resolve(Address.parse(text)))

    assert resolve("Zoe+x@file.test") == Local("zoe@file.test")
    assert resolve("bare@example.test") == Local("bare@example.test")
    assert resolve("postmaster@file.test") == Local("zoe@file.test")
    assert isinstance(resolve("nobody@file.test"), Refused)
    path.write_text("carl@file.test:{PLAIN}x\n")
    assert isinstance(resolve("zoe@file.test"), Refused)
    assert resolve("carl@file.test") == Local("carl@file.test")


def test_without_plus_addresses(peopled: House) -> None:
    assert isinstance(peopled.resolve("ann+x@example.test", separator=""), Refused)
    assert peopled.resolve("ann-x@example.test", separator="-") == Local("ann@example.test")


class TestOwns:
    @pytest.mark.parametrize(
        ("address", "answer"),
        [
            ("ANN@example.test", True),
            ("ann+x@example.test", True),
            ("sales@example.test", True),
            ("indirect@example.test", True),
            ("list@example.test", False),
            ("bob@example.test", False),
            ("ann@far.test", False),
            ("nobody@example.test", False),
        ],
    )
    def test_an_address(self, peopled: House, address: str, answer: bool) -> None:
        admin = peopled.admin
        admin.add_alias("sales@example.test", ["ann@example.test", "bob@far.test"])
        admin.add_alias("indirect@example.test", ["sales@example.test"])
        admin.add_alias("list@example.test", ["ann@example.test"], is_list=True)
        resolver = peopled.resolver()
        assert now(resolver.owns("ann@example.test", Address.parse(address))) is answer
