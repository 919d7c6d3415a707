"""LIST with all its options, folders coming and going, STATUS, quota, rights, notes."""

from __future__ import annotations

import time

import pytest

from mailframe.core.folders import FolderInfo
from mailframe.protocols.imap.commands import Filter, Scope
from mailframe.servers.imap_filters import fitting
from mailframe.servers.imap_turns import Turn
from tests.unit.servers.imap_house import Client, House, message


def tree() -> House:
    house = House(message())
    for name in ("Archive/2025", "Archive/2026", "Drafts", "foo/bar/baz"):
        house.folders.add(name)
    house.folders.add("Sent", "\\Sent")
    house.folders.subscribed |= {"INBOX", "Archive/2026", "lost/box"}
    return house


def names(client: Client, command: str) -> list[str]:
    return [line.rpartition(" ")[2] for line in client.ok(command).lines]


# ---- LIST


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            '"" *',
            "Archive Archive/2025 Archive/2026 Drafts INBOX Sent foo foo/bar foo/bar/baz",
        ),
        ('"" %', "Archive Drafts INBOX Sent foo"),
        ('"" inbox', "INBOX"),
        ('"" InB*', "INBOX"),
        ('"" "%/%"', "Archive/2025 Archive/2026 foo/bar"),
        ("Archive/ %", "Archive/2025 Archive/2026"),
        ('"" *a*', "Drafts foo/bar foo/bar/baz"),
        ('"" "fo%/*z"', "foo/bar/baz"),
        ('"" ("D%" "S%")', "Drafts Sent"),
        ('"" nothing', ""),
        ('"" lost*', ""),  # subscribed to, but gone
        (
            '"" * RETURN (SUBSCRIBED)',
            "Archive Archive/2025 Archive/2026 Drafts INBOX Sent foo foo/bar foo/bar/baz",
        ),
    ],
)
def test_patterns(arguments: str, expected: str) -> None:
    assert names(tree().client(), f"LIST {arguments}") == expected.split()


def test_the_separator() -> None:
    assert House().client().ok('LIST "" ""').lines == ['* LIST (\\Noselect) "/" ""']


def test_attributes() -> None:
    lines = tree().client().ok('LIST "" *').lines
    assert '* LIST (\\NonExistent \\Noselect \\HasChildren) "/" Archive' in lines
    assert '* LIST (\\HasNoChildren) "/" Archive/2025' in lines
    assert '* LIST (\\HasNoChildren \\Sent) "/" Sent' in lines


def test_what_may_not_be_read_cannot_be_selected() -> None:
    house = tree()
    house.folders.there["Drafts"].rights = "l"
    assert house.client().ok('LIST "" Drafts').lines == [
        '* LIST (\\Noselect \\HasNoChildren) "/" Drafts'
    ]


def test_subscribed() -> None:
    client = tree().client()
    assert client.ok('LIST (SUBSCRIBED) "" *').lines == [
        '* LIST (\\HasNoChildren \\Subscribed) "/" Archive/2026',
        '* LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
        '* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" lost/box',
    ]
    assert client.ok('LIST "" Drafts RETURN (SUBSCRIBED)').having("\\Subscribed") == []


def test_recursive_match() -> None:
    lines = tree().client().ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" %').lines
    assert lines == [
        '* LIST (\\NonExistent \\HasChildren) "/" Archive ("CHILDINFO" ("SUBSCRIBED"))',
        '* LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
        '* LIST (\\NonExistent \\HasNoChildren) "/" lost ("CHILDINFO" ("SUBSCRIBED"))',
    ]


def test_recursive_match_does_not_tell_of_what_is_listed_itself() -> None:
    lines = tree().client().ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" *').lines
    assert not [line for line in lines if "CHILDINFO" in line]


def test_special_use() -> None:
    assert names(tree().client(), 'LIST (SPECIAL-USE) "" *') == ["Sent"]


def test_lsub() -> None:
    client = tree().client()
    assert client.ok('LSUB "" *').lines == [
        '* LSUB () "/" Archive/2026',
        '* LSUB () "/" INBOX',
        '* LSUB (\\Noselect) "/" lost/box',
    ]
    assert client.ok('LSUB "" %').lines == [
        '* LSUB (\\Noselect) "/" Archive',
        '* LSUB () "/" INBOX',
        '* LSUB (\\Noselect) "/" lost',
    ]


def test_list_status_rights_and_notes() -> None:
    house = tree()
    house.folders.notes["INBOX"] = {"/private/comment": b"Mine", "/shared/comment": b"x" * 50}
    lines = (
        house.client()
        .ok(
            'LIST "" %BOX RETURN (STATUS (MESSAGES UIDNEXT) MYRIGHTS METADATA ("/private/comment"))'
        )
        .lines
    )
    assert lines == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        "* MYRIGHTS INBOX lrswipkxteacd",
        "* STATUS INBOX (MESSAGES 1 UIDNEXT 2)",
        '* METADATA INBOX (/private/comment "Mine")',
    ]


def test_a_pattern_of_many_wildcards_takes_no_time() -> None:
    house = House()
    house.folders.add("a" * 200)
    client = house.client()
    started = time.perf_counter()
    assert names(client, f'LIST "" "{"*a%a" * 200}b"') == []
    assert time.perf_counter() - started < 0.1


def test_names_in_utf7_and_utf8() -> None:
    house = House()
    house.folders.add("Entwürfe")
    client = house.client()
    assert names(client, 'LIST "" Ent*') == ["Entw&APw-rfe"]
    client.ok("ENABLE UTF8=ACCEPT")
    assert names(client, 'LIST "" Ent*') == ['"Entwürfe"']


# ---- coming and going


def test_create_delete_rename() -> None:
    house = House()
    client = house.client()
    assert client.ok("CREATE New/").tagged == "OK [MAILBOXID (F2)] CREATE completed"
    assert "[ALREADYEXISTS]" in client.no("CREATE New").tagged
    client.ok("CREATE Bin (USE (\\Trash))")
    assert house.folders.uses["Bin"] == {"\\Trash"}
    client.ok("RENAME New Other")
    client.ok("DELETE Other")
    assert "[NONEXISTENT]" in client.no("DELETE Other").tagged
    assert "[CANNOT]" in client.no("DELETE INBOX").tagged


def test_subscribe() -> None:
    house = House()
    client = house.client("SUBSCRIBE Some", "SUBSCRIBE Other", "UNSUBSCRIBE Some")
    assert house.folders.subscribed == {"Other"}
    client.ok("NOOP")


def test_status() -> None:
    house = House(message(), limits={"append": 1_000})
    house.inbox.put(message(), "\\Seen", "\\Deleted")
    items = (
        "MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ MAILBOXID "
        "APPENDLIMIT DELETED-STORAGE"
    )
    size = len(message())
    assert house.client().ok(f"STATUS inbox ({items})").lines == [
        "* STATUS INBOX (MESSAGES 2 RECENT 2 UIDNEXT 3 UIDVALIDITY 1001 UNSEEN 1 DELETED 1 "
        f"SIZE {2 * size} HIGHESTMODSEQ 3 MAILBOXID (F1) APPENDLIMIT 1000 DELETED-STORAGE {size})"
    ]


def test_status_of_what_no_folder_decides() -> None:
    house = House()
    client = house.client()
    assert client.ok("STATUS INBOX (APPENDLIMIT)").lines == ["* STATUS INBOX (APPENDLIMIT NIL)"]
    assert "[NONEXISTENT]" in client.no("STATUS Nowhere (APPENDLIMIT)").tagged


def test_status_needs_the_right_to_read() -> None:
    house = House()
    house.inbox.rights = "l"
    assert "[NOPERM]" in house.client().no("STATUS INBOX (MESSAGES)").tagged


# ---- quota


def test_quota() -> None:
    client = House().client()
    quota = '* QUOTA "" (STORAGE 3 10 MESSAGE 3 100)'
    assert client.ok('GETQUOTA ""').lines == [quota]
    assert client.ok("GETQUOTAROOT INBOX").lines == ['* QUOTAROOT INBOX ""', quota]
    assert "[NONEXISTENT]" in client.no("GETQUOTA other").tagged
    assert "[NONEXISTENT]" in client.no("GETQUOTAROOT Nowhere").tagged
    assert "[NOPERM]" in client.no('SETQUOTA "" (STORAGE 1)').tagged


def test_no_quota_at_all() -> None:
    house = House()
    house.folders.use = None
    assert house.client().ok("GETQUOTAROOT INBOX").lines == ["* QUOTAROOT INBOX"]
    assert "[NONEXISTENT]" in house.client().no('GETQUOTA ""').tagged


# ---- rights


def test_acl() -> None:
    house = House()
    client = house.client()
    client.ok("SETACL INBOX bob@example.test lrs")
    client.ok("SETACL INBOX bob@example.test +cd")
    client.ok("SETACL INBOX bob@example.test -s")
    assert house.folders.acls["INBOX"] == {"bob@example.test": "lrkxte"}
    assert client.ok("GETACL INBOX").lines == [
        "* ACL INBOX ann@example.test lrswipkxteacd bob@example.test lrkxtecd"
    ]
    assert client.ok("LISTRIGHTS INBOX bob@example.test").lines == [
        '* LISTRIGHTS INBOX bob@example.test "" l r s w i p k x t e a'
    ]
    assert client.ok("LISTRIGHTS INBOX ann@example.test").lines == [
        "* LISTRIGHTS INBOX ann@example.test lrswipkxtea"
    ]
    client.ok("DELETEACL INBOX bob@example.test")
    assert house.folders.acls["INBOX"] == {}
    client.bad("SETACL INBOX bob@example.test lrq")


@pytest.mark.parametrize("command", ["GETACL INBOX", "SETACL INBOX bob lr", "LISTRIGHTS INBOX bob"])
def test_acl_needs_the_right_to_administer(command: str) -> None:
    house = House()
    house.inbox.rights = "lrswipkxte"
    client = house.client()
    assert "[NOPERM]" in client.no(command).tagged
    assert client.ok("MYRIGHTS INBOX").lines == ["* MYRIGHTS INBOX lrswipkxtecd"]


# ---- notes


def test_metadata() -> None:
    house = House()
    client = house.client()
    client.ok('SETMETADATA INBOX (/private/Comment "Mine" /shared/vendor/x/y "1")')
    client.ok('SETMETADATA "" (/shared/motd "Hello")')
    assert client.ok("GETMETADATA INBOX /PRIVATE/comment").lines == [
        '* METADATA INBOX (/private/comment "Mine")'
    ]
    assert client.ok('GETMETADATA "" (/shared/motd /private/none)').lines == [
        '* METADATA "" (/shared/motd "Hello" /private/none NIL)'
    ]
    client.ok("SETMETADATA INBOX (/private/comment NIL)")
    assert "/private/comment" not in house.folders.notes["INBOX"]
    client.bad("GETMETADATA INBOX /else/where")


def test_metadata_depth_and_size() -> None:
    house = House()
    house.folders.notes["INBOX"] = {
        "/shared/a": b"1",
        "/shared/a/b": b"22",
        "/shared/a/b/c": b"333",
        "/shared/ab": b"4",
    }
    client = house.client()
    one = client.ok("GETMETADATA (DEPTH 1) INBOX /shared/a").lines[0]
    assert one == '* METADATA INBOX (/shared/a "1" /shared/a/b "22")'
    deep = client.ok("GETMETADATA (DEPTH infinity MAXSIZE 2) INBOX /shared/a")
    assert deep.lines == [one]
    assert deep.tagged.startswith("OK [METADATA LONGENTRIES 3]")


def test_shared_notes_need_the_right_to_write() -> None:
    house = House()
    house.inbox.rights = "lr"
    client = house.client()
    client.ok('SETMETADATA INBOX (/private/comment "Mine")')
    assert "[NOPERM]" in client.no('SETMETADATA INBOX (/shared/comment "Ours")').tagged


def test_notes_need_a_right_besides_that_to_look_up() -> None:
    house = House()
    house.folders.notes["INBOX"] = {"/shared/comment": b"Ours"}
    client = house.client()
    house.inbox.rights = "li"
    assert client.ok("GETMETADATA INBOX /shared/comment").lines
    house.inbox.rights = "lx"
    assert "[NOPERM]" in client.no("GETMETADATA INBOX /shared/comment").tagged
    listed = client.ok('LIST "" INBOX RETURN (METADATA ("/shared/comment"))')
    assert not listed.having("METADATA")


# ---- about the connection


def test_id_enable_namespace() -> None:
    house = House()
    client = house.client()
    assert client.ok('ID ("name" "mutt" "version" "2.2")').lines == ['* ID ("name" "mailframe")']
    assert client.ok("ENABLE CONDSTORE UNKNOWN utf8=accept").lines == [
        "* ENABLED CONDSTORE UTF8=ACCEPT"
    ]
    assert client.ok("ENABLE CONDSTORE").lines == ["* ENABLED"]
    assert client.ok("NAMESPACE").lines == ['* NAMESPACE (("" "/")) (("Other/" "/")) NIL']


def test_patterns_that_match_nothing_let_others_have_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = 0

    async def pause(self: Turn) -> None:
        nonlocal turns
        turns += 1

    monkeypatch.setattr(Turn, "pause", pause)
    client = tree().client()
    for command in ('LIST "" nothing*', 'LSUB "" nothing*'):
        turns = 0
        assert client.ok(command).lines == []
        assert turns >= 3


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (Filter(Scope.SUBTREE, ("a", "x/y")), "a a/b a/b/c x/y"),
        (Filter(Scope.SUBTREE_ONE, ("a", "x")), "a a/b x/y"),
        (Filter(Scope.MAILBOXES, ("a", "x")), "a"),
        (Filter(Scope.PERSONAL), "a a/b a/b/c ab x/y"),
        (Filter(Scope.INBOXES), ""),
        (Filter(Scope.SELECTED), ""),
    ],
)
def test_filters(each: Filter, expected: str) -> None:
    infos = [FolderInfo(name) for name in ("a", "a/b", "a/b/c", "ab", "x/y", "Other/z")]
    fits = fitting(each, "Other/")
    assert " ".join(info.name for info in infos if fits(info)) == expected


def test_a_filter_of_many_names_takes_no_time() -> None:
    fits = fitting(Filter(Scope.SUBTREE, tuple(f"f{n}" for n in range(10_000))), None)
    started = time.process_time()
    assert not any(fits(FolderInfo(f"g{n}/x")) for n in range(5_000))
    assert time.process_time() - started < 0.5
