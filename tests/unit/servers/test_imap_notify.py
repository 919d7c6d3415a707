"""NOTIFY: told of what one asked for, and of nothing else."""

from __future__ import annotations

import pytest

from tests.unit.servers.imap_house import House, message

ALL = "MessageNew MessageExpunge FlagChange"


def test_status_of_folders_that_are_not_selected() -> None:
    house = House(message())
    work = house.folders.add("Work")
    client = house.client(f"NOTIFY SET (personal ({ALL}))", "SELECT INBOX")
    work.put(message())
    work.put(message())
    assert client.pushed() == [
        "* STATUS Work (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 1002 UNSEEN 2 HIGHESTMODSEQ 3)"
    ]
    work.mark(1, "\\Seen")
    assert client.pushed() == [
        "* STATUS Work (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 1002 UNSEEN 1 HIGHESTMODSEQ 4)"
    ]
    house.inbox.put(message())
    assert client.pushed() == []
    client.ok("NOTIFY SET (personal (MessageNew MessageExpunge))")
    work.take(1)
    assert "HIGHESTMODSEQ" not in client.pushed()[0]
    client.ok("ENABLE CONDSTORE")
    work.take(2)
    assert "HIGHESTMODSEQ" in client.pushed()[0]


def test_flags_only_where_asked_for() -> None:
    house = House()
    work = house.folders.add("Work")
    work.put(message())
    client = house.client("NOTIFY SET (mailboxes Work (MessageNew MessageExpunge))")
    work.mark(1, "\\Seen")
    assert client.pushed() == []
    work.take(1)
    assert client.pushed()[0].startswith("* STATUS Work (MESSAGES 0")


def test_where_everything_stands() -> None:
    house = House(message())
    house.folders.add("Work")
    client = house.client("SELECT INBOX")
    lines = client.ok(f"NOTIFY SET STATUS (subtree (INBOX Work) ({ALL}))").lines
    assert lines == [
        "* STATUS Work (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1002 UNSEEN 0 HIGHESTMODSEQ 1)"
    ]


def test_the_first_filter_that_fits_decides() -> None:
    house = House()
    work = house.folders.add("Work")
    client = house.client(f"NOTIFY SET (mailboxes Work NONE) (personal ({ALL}))")
    work.put(message())
    assert client.pushed() == []
    house.inbox.put(message())
    assert client.pushed()[0].startswith("* STATUS INBOX")


def test_none_ends_it() -> None:
    house = House()
    client = house.client(f"NOTIFY SET (inboxes ({ALL}))", "NOTIFY NONE")
    house.inbox.put(message())
    assert client.pushed() == []
    assert house.inbox.listeners == []
    assert house.folders.watchers == []


def test_leaving_ends_it() -> None:
    house = House()
    client = house.client(f"NOTIFY SET (inboxes ({ALL}))")
    house.inbox.put(message())
    client.hang_up()
    assert house.inbox.listeners == []
    assert house.folders.watchers == []
    assert house.clock.getDelayedCalls() == []


# ---- the selected folder


def test_selected_without_a_command() -> None:
    house = House(message())
    client = house.client("SELECT INBOX", f"NOTIFY SET (selected ({ALL}))")
    house.inbox.put(message())
    house.inbox.mark(1, "\\Seen")
    assert client.pushed() == [
        "* 2 EXISTS",
        "* 2 RECENT",
        "* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent))",
    ]
    house.inbox.take(1)
    assert client.pushed() == ["* 1 EXPUNGE"]


def test_selected_delayed_waits_with_expunges() -> None:
    house = House(*[message()] * 2)
    client = house.client("SELECT INBOX", f"NOTIFY SET (selected-delayed ({ALL}))")
    house.inbox.take(1)
    assert client.pushed() == []
    house.inbox.put(message())
    assert client.pushed() == ["* 3 EXISTS", "* 3 RECENT"]
    assert client.ok("FETCH 2 (UID)").lines == ["* 2 FETCH (UID 2)"]
    assert client.ok("NOOP").lines == ["* 1 EXPUNGE"]


def test_new_messages_bring_what_was_asked_for() -> None:
    house = House()
    client = house.client(
        "SELECT INBOX", "NOTIFY SET (selected (MessageNew (UID RFC822.SIZE) MessageExpunge))"
    )
    house.inbox.put(message())
    assert client.pushed() == [
        "* 1 EXISTS",
        "* 1 RECENT",
        f"* 1 FETCH (UID 1 RFC822.SIZE {len(message())})",
    ]
    house.inbox.mark(1, "\\Seen")
    assert client.pushed() == []


def test_searches_that_go_on_come_last() -> None:
    house = House()
    client = house.client("SELECT INBOX", "NOTIFY SET (selected (MessageNew (UID) MessageExpunge))")
    client.ok("UID SEARCH RETURN (ALL UPDATE) ALL")
    house.inbox.put(message())
    assert client.pushed()[2:] == [
        "* 1 FETCH (UID 1)",
        '* ESEARCH (TAG "t4") UID ADDTO (0 1)',
    ]


def test_bye_is_the_last_that_is_told() -> None:
    house = House()
    client = house.client(f"NOTIFY SET (inboxes ({ALL}))")
    house.inbox.put(message())
    assert client.ok("LOGOUT").lines[-1] == "* BYE Logging out"


def test_without_selected_nothing_is_told_of_it() -> None:
    house = House(*[message()] * 2)
    client = house.client("SELECT INBOX")
    house.inbox.mark(2, "\\Flagged")
    # RFC 5465 section 3.1: what has gathered is told first
    assert client.ok("NOTIFY SET (personal (MailboxName))").having("2 FETCH")
    house.inbox.take(1)
    assert client.pushed() == []
    assert client.ok("NOOP").lines == []
    client.ok("STORE 2 +FLAGS (\\Deleted)")
    assert client.ok("EXPUNGE").having("EXPUNGE") == ["* 2 EXPUNGE", "* 1 EXPUNGE"]
    client.ok("NOTIFY NONE")


def test_what_was_told_already_is_no_news() -> None:
    house = House(message())
    client = house.client("SELECT INBOX", f"NOTIFY SET (selected ({ALL}))")
    client.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    assert client.pushed() == []
    house.inbox.put(message())
    house.inbox.take(2)
    assert client.pushed() == []


# ---- names


def test_folders_that_come_and_go() -> None:
    house = House()
    client = house.client("NOTIFY SET (personal (MailboxName SubscriptionChange))")
    other = house.client()
    other.ok("CREATE Work")
    assert client.pushed() == ['* LIST () "/" Work']
    other.ok("SUBSCRIBE Work")
    assert client.pushed() == ['* LIST (\\Subscribed) "/" Work']
    other.ok("RENAME Work Play")
    assert client.pushed() == ['* LIST () "/" Play ("OLDNAME" (Work))']
    other.ok("DELETE Play")
    assert client.pushed() == ['* LIST (\\NonExistent) "/" Play']


def test_a_rename_out_of_sight_is_a_removal() -> None:
    house = House()
    client = house.client("CREATE Work", "NOTIFY SET (mailboxes Work (MailboxName))")
    house.client().ok("RENAME Work Play")
    assert client.pushed() == ['* LIST (\\NonExistent) "/" Work']


def test_what_may_be_listed_but_not_watched() -> None:
    house = House()
    house.folders.add("Work").rights = "l"
    answer = house.client().ok(f"NOTIFY SET (personal ({ALL}))")
    assert answer.lines == ['* LIST (\\NoAccess) "/" Work']


def test_a_new_folder_is_watched_too() -> None:
    house = House()
    client = house.client(f"NOTIFY SET (personal ({ALL}))")
    work = house.folders.add("Work")
    assert client.pushed() == []
    work.put(message())
    assert client.pushed()[0].startswith("* STATUS Work")


def test_subscribed_follows_the_subscriptions() -> None:
    house = House()
    work = house.folders.add("Work")
    client = house.client(f"NOTIFY SET (subscribed ({ALL}))", "SUBSCRIBE Work")
    work.put(message())
    assert client.pushed()[0].startswith("* STATUS Work")
    client.ok("UNSUBSCRIBE Work")
    work.put(message())
    assert client.pushed() == []


def test_notes_of_other_sessions() -> None:
    house = House()
    client = house.client("NOTIFY SET (personal (MailboxMetadataChange ServerMetadataChange))")
    other = house.client()
    other.ok('SETMETADATA INBOX (/private/comment "x")')
    other.ok('SETMETADATA "" (/private/comment "x")')
    assert client.pushed() == [
        "* METADATA INBOX /private/comment",
        '* METADATA "" /private/comment',
    ]
    client.ok("NOTIFY SET (personal (MailboxMetadataChange))")
    other.ok('SETMETADATA "" (/private/comment "z")')
    assert client.pushed() == []
    client.ok("NOTIFY NONE")
    other.ok('SETMETADATA INBOX (/private/comment "y")')
    assert client.pushed() == []


# ---- refused


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("(personal (MessageNew MessageExpunge AnnotationChange))", "NO", "[BADEVENT (MessageNew"),
        ("(personal (Nonsense))", "NO", "[BADEVENT (MessageNew"),
        ("(personal (MessageNew))", "BAD", "together"),
        ("(personal (FlagChange))", "BAD", "MessageNew"),
        ("(selected (MailboxName))", "BAD", "essage events"),
        (f"(selected ({ALL})) (selected-delayed ({ALL}))", "BAD", "once"),
    ],
)
def test_refused(arguments: str, status: str, words: str) -> None:
    house = House()
    client = house.client(f"NOTIFY SET (inboxes ({ALL}))")
    answer = client.do(f"NOTIFY SET {arguments}")
    assert answer.status == status
    assert words in answer.tagged
    house.inbox.put(message())
    assert client.pushed()[0].startswith("* STATUS INBOX")  # the old one holds


def test_too_many_folders() -> None:
    house = House(limits={"watched": 2})
    house.folders.add("One")
    client = house.client(f"NOTIFY SET (personal ({ALL}))")
    house.folders.add("Two")
    assert client.pushed()[0].startswith("* OK [NOTIFICATIONOVERFLOW]")
    house.inbox.put(message())
    assert client.pushed() == []
    answer = client.no(f"NOTIFY SET (personal ({ALL}))")
    assert answer.tagged.startswith("NO [NOTIFICATIONOVERFLOW]")
    assert house.folders.watchers == []
