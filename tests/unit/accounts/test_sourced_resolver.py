"""Addresses where the directory, sources and applications have something to say together."""

from __future__ import annotations

from typing import Any

import pytest
from zope.interface import implementer

from mailframe.accounts.realm import DirectoryRealm
from mailframe.accounts.sourced_resolver import SourcedResolver
from mailframe.accounts.sources import Sources
from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere, Expanded, Local, Refused
from mailframe.errors import LoginFailed, PermanentFailure, TransientFailure
from mailframe.interfaces import IMailAccount
from mailframe.interfaces.accounts import Entry, IAccountSource, IAnyDomain, IDomainSource
from tests.unit.accounts.house import House, now

pytestmark = pytest.mark.usefixtures("hashes")
DOWN = Reply(451, status.DIRECTORY_FAILURE, "down")


@implementer(IAccountSource)
class Table:
    def __init__(self, *domains: str, **entries: Any) -> None:
        self.name = "table"
        self.domains = domains or ("src.test",)
        self.is_down = False
        self.asked: list[str] = []
        self.entries: dict[str, Entry] = {}

    def add(self, name: str, **facts: Any) -> Table:
        forward = tuple(map(Address.parse, facts.pop("forward", ())))
        addresses = tuple(map(Address.parse, facts.pop("addresses", ())))
        facts.setdefault("account", name)
        self.entries[name] = Entry(forward=forward, addresses=addresses, **facts)
        return self

    async def find(self, address: Address) -> Entry | None:
        self.asked.append(str(address))
        if self.is_down:
            raise TransientFailure(DOWN, "down")
        return self.entries.get(f"{address.local_part}@{address.domain}")


@implementer(IDomainSource)
class Growing(Table):
    async def holds(self, domain: str) -> bool:
        if self.is_down:
            raise TransientFailure(DOWN, "down")
        return domain == "grown.test"


@pytest.fixture
def table() -> Table:
    return Table().add("ann@src.test").add("bob@src.test")


class Town:
    def __init__(self, house: House, *sources: Table, first: tuple[Table, ...] = ()) -> None:
        self.house = house
        house.admin.add_domain("dir.test")
        house.admin.add_user("dora@dir.test", "secret")
        self.sources = sources
        self.first = first

    def resolver(self) -> SourcedResolver:
        directory = self.house.resolver()
        return SourcedResolver(
            directory,
            first=Sources(self.first, trusted=self.first),
            sources=Sources(self.sources),
            named=directory.names,
            exists=lambda account: account in ("dora@dir.test", "ann@src.test"),
        )

    def resolve(self, address: str) -> Any:
        name = Address.parse(address) if "@" in address else Address(address, "")
        return now(self.resolver().resolve(name))

    def owns(self, account: str, address: str) -> bool:
        return now(self.resolver().owns(account, Address.parse(address)))

    def targets(self, address: str) -> list[str]:
        resolution = self.resolve(address)
        assert isinstance(resolution, Expanded), resolution
        return [str(t.mailbox.account if t.mailbox else t.address) for t in resolution.targets]


def test_each_is_asked_about_its_own_domains(house: House, table: Table) -> None:
    town = Town(house, table)
    assert town.resolve("Ann@SRC.test") == Local("ann@src.test")
    assert town.resolve("ann+shop@src.test") == Local("ann@src.test")
    assert town.resolve("dora@dir.test") == Local("dora@dir.test")
    assert town.resolve("x@elsewhere.test") == Elsewhere()
    assert {one.rpartition("@")[2] for one in table.asked} == {"src.test"}


def test_nobody_at_a_domain_of_a_source_is_refused_and_never_relayed(
    house: House, table: Table
) -> None:
    town = Town(house, table)
    for address in ("x@src.test", '"ann@src.test"@src.test', "ann%dir.test@src.test"):
        found = town.resolve(address)
        assert isinstance(found, Refused)
        assert found.reply.code == 550


def test_forwarding_goes_through_all_of_them(house: House, table: Table) -> None:
    town = Town(house, table)
    house.admin.add_alias("all@dir.test", ["dora@dir.test", "team@src.test", "x@far.test"])
    table.add("team@src.test", forward=["ann@src.test", "ring@dir.test"], has_mailbox=False)
    house.admin.add_alias("ring@dir.test", ["bob@src.test", "all@dir.test"])
    assert sorted(town.targets("all@dir.test")) == [
        "ann@src.test", "bob@src.test", "dora@dir.test", "x@far.test",
    ]  # fmt: skip


def test_a_copy_is_kept_where_the_entry_says_so_or_names_itself(house: House, table: Table) -> None:
    town = Town(house, table)
    table.add("ann@src.test", forward=["x@far.test"], keeps_copy=True)
    assert town.targets("ann@src.test") == ["ann@src.test", "x@far.test"]
    table.add("ann@src.test", forward=["x@far.test", "ann@src.test"])
    assert sorted(town.targets("ann@src.test")) == ["ann@src.test", "x@far.test"]
    table.add("ann@src.test", forward=["x@far.test"])
    assert town.targets("ann@src.test") == ["x@far.test"]


def test_loops_end(house: House, table: Table) -> None:
    town = Town(house, table)
    table.add("ann@src.test", forward=["bob@src.test"])
    table.add("bob@src.test", forward=["ann@src.test"])
    assert town.targets("ann@src.test") == ["ann@src.test"]
    table.add("p@src.test", forward=["q@src.test"], has_mailbox=False)
    table.add("q@src.test", forward=["p@src.test"], has_mailbox=False)
    assert isinstance(town.resolve("p@src.test"), Refused)


def test_a_list_too_long_is_put_off(house: House, table: Table) -> None:
    town = Town(house, table)
    members = [f"m{number}@far.test" for number in range(1001)]
    table.add("list@src.test", forward=members, has_mailbox=False, is_list=True)
    found = town.resolve("list@src.test")
    assert isinstance(found, Refused)
    assert found.reply.is_transient


def test_half_an_alias_is_no_answer(house: House, table: Table) -> None:
    other = Table("two.test")
    town = Town(house, table, other)
    house.admin.add_alias("all@dir.test", ["dora@dir.test", "ann@two.test"])
    other.is_down = True
    with pytest.raises(TransientFailure):
        town.resolve("all@dir.test")
    assert town.resolve("ann@src.test") == Local("ann@src.test")
    assert town.resolve("dora@dir.test") == Local("dora@dir.test")


def test_disabled_accounts_get_nothing(house: House, table: Table) -> None:
    town = Town(house, table)
    table.add("gone@src.test", is_enabled=False)
    table.add("both@src.test", forward=["gone@src.test", "ann@src.test"], has_mailbox=False)
    assert town.resolve("gone@src.test").reply.code == 550
    assert town.targets("both@src.test") == ["ann@src.test"]


def test_role_names_reach_the_postmaster(house: House, table: Table) -> None:
    town = Town(house, table)
    for role in ("postmaster", "abuse"):
        assert town.resolve(f"{role}@src.test") == Local("dora@dir.test")
    table.add("postmaster@src.test", account="ann@src.test")
    assert town.resolve("postmaster@src.test") == Local("ann@src.test")


def test_who_is_named_comes_before_who_takes_everything(house: House) -> None:
    """One domain in both: the directory's user, the source's, then the directory's catch-all."""
    table = Table("dir.test").add("sam@dir.test").add("dora@dir.test", quota=1)
    town = Town(house, table)
    house.admin.add_alias("@dir.test", ["dora@dir.test"])
    assert town.resolve("sam@dir.test") == Local("sam@dir.test")
    table.asked.clear()
    assert town.resolve("dora@dir.test") == Local("dora@dir.test")
    assert town.resolve("dora+x@dir.test") == Local("dora@dir.test")
    assert table.asked == []
    assert town.targets("x@dir.test") == ["dora@dir.test"]


def test_an_application_comes_before_everybody(house: House, table: Table) -> None:
    app = Table("dir.test", "src.test").add("dora@dir.test", courier="app")
    app.add("bot@src.test", courier="app", has_mailbox=False)
    town = Town(house, table, first=(app,))
    assert town.resolve("dora@dir.test") == Local("dora@dir.test", courier="app")
    assert town.resolve("bot+7@src.test") == Local("bot@src.test", courier="app")
    assert town.resolve("ann@src.test") == Local("ann@src.test")


def test_an_application_may_lead_to_any_account_that_is_there(house: House, table: Table) -> None:
    app = Table("shop.test").add("a@shop.test", account="dora@dir.test")
    app.add("b@shop.test", account="ann@src.test").add("c@shop.test", account="x@dir.test")
    town = Town(house, table, first=(app,))
    assert town.resolve("a@shop.test") == Local("dora@dir.test")
    assert town.resolve("b@shop.test") == Local("ann@src.test")
    with pytest.raises(TransientFailure):
        town.resolve("c@shop.test")


def test_a_source_may_refuse_an_address_in_its_own_words(house: House, table: Table) -> None:
    closed = Reply(550, status.MAILBOX_DISABLED, "We have closed")

    class Closed(Table):
        async def find(self, address: Address) -> Entry | None:
            raise PermanentFailure(closed)

    town = Town(house, table, first=(Closed("shop.test"),))
    assert town.resolve("x@shop.test") == Refused(closed)
    house.admin.add_alias("both@dir.test", ["dora@dir.test", "x@shop.test"])
    assert town.targets("both@dir.test") == ["dora@dir.test"]
    assert now(Sources([Closed("shop.test")]).account("x@shop.test")) is None


def test_a_source_of_any_domain_decides_about_none(house: House, table: Table) -> None:
    @implementer(IAnyDomain)
    class Anywhere(Table):
        def may_know(self, domain: str) -> bool:
            return domain == "far.test"

    app = Anywhere("own.test").add("bot@far.test", courier="app", has_mailbox=False)
    town = Town(house, table, first=(app,))
    assert town.resolve("bot@far.test") == Local("bot@far.test", courier="app")
    assert town.resolve("x@far.test") == Elsewhere()
    assert isinstance(town.resolve("x@own.test"), Refused)
    house.admin.add_alias("all@dir.test", ["dora@dir.test", "bot@far.test"])
    assert sorted(town.targets("all@dir.test")) == ["bot@far.test", "dora@dir.test"]


def test_a_detail_is_asked_for_whole_first(house: House) -> None:
    table = (
        Table().add("ann@src.test").add("ann+vip@src.test", account="ann@src.test", folder="VIP")
    )
    assert Town(house, table).resolve("ann+vip@src.test") == Local("ann@src.test", "VIP")
    assert table.asked[0] == "ann+vip@src.test"


@pytest.mark.parametrize(
    "account",
    ["dora@dir.test", "x@far.test", "ann", "", "@src.test", "a\0b@src.test", "ghost@src.test"],
)
def test_an_account_that_is_not_its_own_is_trouble(
    house: House, table: Table, account: str
) -> None:
    table.add("thief@src.test", account=account)
    table.add("x@far.test")  # which it may not have
    with pytest.raises(TransientFailure):
        Town(house, table).resolve("thief@src.test")


def test_account_names_become_canonical(house: House) -> None:
    table = Table("xn--bcher-kva.test").add("eve@xn--bcher-kva.test", account="EVE@Bücher.test")
    assert Town(house, table).resolve("eve@bücher.test") == Local("eve@xn--bcher-kva.test")


def test_domains_that_only_the_source_knows(house: House) -> None:
    growing = Growing("src.test").add("ann@grown.test")
    town = Town(house, growing)
    assert town.resolve("ann@grown.test") == Local("ann@grown.test")
    assert isinstance(town.resolve("x@grown.test"), Refused)
    assert town.resolve("x@far.test") == Elsewhere()
    growing.is_down = True
    with pytest.raises(TransientFailure):
        town.resolve("x@far.test")  # it may be ours


def test_users_own_their_addresses(house: House, table: Table) -> None:
    town = Town(house, table)
    table.add(
        "ann@src.test",
        addresses=["ann@src.test", "sales@src.test", "ceo@far.test"],
        forward=["bob@src.test"],
    )
    table.add("info@src.test", forward=["ann@src.test", "bob@src.test"], has_mailbox=False)
    table.add("to-bob@src.test", forward=["bob@src.test"], has_mailbox=False)
    table.add("list@src.test", forward=["bob@src.test"], has_mailbox=False, is_list=True)
    house.admin.add_alias("bobby@dir.test", ["bob@src.test"])
    for address in ("ann@src.test", "ann+x@src.test", "sales@src.test"):
        assert town.owns("ann@src.test", address), address
    for address in ("to-bob@src.test", "bobby@dir.test", "bob@src.test"):
        assert town.owns("bob@src.test", address), address
    for address in ("bob@src.test", "ceo@far.test", "dora@dir.test", "x@src.test"):
        assert not town.owns("ann@src.test", address), address
    for address in ("ann@src.test", "list@src.test"):  # who forwards to him gives him nothing
        assert not town.owns("bob@src.test", address), address


def test_who_may_enter(house: House, table: Table) -> None:
    table.add("ann@src.test", addresses=["boss@src.test"])
    table.add("boss@src.test", account="ann@src.test", addresses=["boss@src.test"])
    table.add("gone@src.test", is_enabled=False)
    table.add("catch@src.test", account="ann@src.test")
    table.add("alias@src.test", forward=["ann@src.test"], has_mailbox=False)
    table.add("bot@src.test", courier="app")
    realm = DirectoryRealm(
        house.directory,
        house.opened.append,  # type: ignore[arg-type]
        lambda account: account,  # type: ignore[arg-type,return-value]
        house.resolver(),
        sources=Sources([table]),
    )

    def enter(name: str) -> str:
        _, avatar, _ = now(realm.requestAvatar(name.encode(), None, IMailAccount))
        return avatar.name

    assert enter("ann@src.test") == enter("boss@src.test") == "ann@src.test"
    for name in ("gone", "catch", "alias", "bot", "nobody"):
        with pytest.raises(LoginFailed):
            enter(f"{name}@src.test")
    table.is_down = True
    with pytest.raises(TransientFailure):
        enter("ann@src.test")


def test_a_source_gives_nobody_an_address_at_the_domain_of_another(house: House) -> None:
    mine = Table("a.test").add("eve@a.test", addresses=["ceo@b.test", "eva@a.test"])
    other = Table("b.test").add("ann@b.test")
    town = Town(house, mine, other)
    assert town.owns("eve@a.test", "eva@a.test")
    assert not town.owns("eve@a.test", "ceo@b.test")
    other.add("ceo@b.test")
    assert not town.owns("eve@a.test", "ceo@b.test")


@pytest.mark.parametrize("folder", ["a//b", "/a", "a/", "a\0b", "a\nb", "\ud800", "x" * 255])
def test_a_folder_that_cannot_be_is_trouble_and_no_bounce(house: House, folder: str) -> None:
    table = Table().add("ann@src.test", folder=folder)
    with pytest.raises(TransientFailure):
        Town(house, table).resolve("ann@src.test")


@pytest.mark.parametrize("folder", ["INBOX", "../../etc", "Νέα/2026", "."])
def test_a_folder_is_a_name_and_no_path(house: House, folder: str) -> None:
    table = Table().add("ann@src.test", folder=folder)
    assert Town(house, table).resolve("ann@src.test") == Local("ann@src.test", folder)
