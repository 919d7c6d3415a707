"""SELECT and what is told of the selected folder afterwards."""

from __future__ import annotations

import pytest

from mailframe.core.folders import FolderReason
from mailframe.errors import FolderRefused
from tests.unit.servers.imap_house import House, message

SEEN, DELETED = "\\Seen", "\\Deleted"


def codes(lines: list[str]) -> list[str]:
    return [line[line.index("[") + 1 : line.index("]")] for line in lines if "[" in line]


# ---- SELECT


def test_all_that_imap4rev1_wants() -> None:
    house = House()
    house.inbox.put(message(), SEEN)
    house.inbox.put(message(), "$Important")
    answer = house.client().ok("SELECT INBOX")
    assert answer.lines[0] == "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Important)"
    assert "\\*)" in answer.having("PERMANENTFLAGS")[0]
    assert {"* 2 EXISTS", "* 2 RECENT"} <= set(answer.lines)
    assert codes(answer.lines)[1:] == [
        "UNSEEN 2",
        "UIDVALIDITY 1001",
        "UIDNEXT 3",
        "HIGHESTMODSEQ 3",
        "MAILBOXID (F1)",
    ]
    assert answer.tagged == "OK [READ-WRITE] SELECT completed"


def test_imap4rev2_has_neither_recent_nor_unseen() -> None:
    house = House(message())
    answer = house.client("ENABLE IMAP4rev2").ok("SELECT INBOX")
    assert not answer.having("RECENT")
    assert not answer.having("UNSEEN")
    assert '* LIST (\\HasNoChildren) "/" INBOX' in answer.lines


def test_imap4rev2_tells_the_attributes_as_they_are() -> None:
    house = House()
    house.folders.add("100%", "\\Sent")
    house.folders.add("100%/*")
    answer = house.client("ENABLE IMAP4rev2").ok('SELECT "100%"')
    assert answer.having("LIST") == ['* LIST (\\HasChildren \\Sent) "/" "100%"']


def test_a_folder_that_was_deleted_can_be_closed() -> None:
    house = House()
    work = house.folders.add("Work")
    work.put(message(), DELETED)
    client = house.client("SELECT Work")
    house.client().ok("DELETE Work")
    assert client.ok("NOOP").lines == ["* 1 EXPUNGE"]
    work.error = FolderRefused(FolderReason.NONEXISTENT, "There is no such folder")
    client.ok("NOOP")
    client.ok("CLOSE")
    client.bad("CLOSE")


def test_examine_changes_nothing() -> None:
    house = House(message())
    answer = house.client().ok("EXAMINE INBOX")
    assert answer.tagged.startswith("OK [READ-ONLY]")
    assert answer.having("PERMANENTFLAGS ()")
    assert "* 1 RECENT" in answer.lines
    assert "* 1 RECENT" in house.client().ok("SELECT INBOX").lines


def test_only_one_session_has_the_recent_messages() -> None:
    house = House(message())
    first = house.client("SELECT INBOX")
    assert "* 0 RECENT" in house.client().ok("SELECT INBOX").lines
    house.inbox.put(message())
    assert first.ok("NOOP").lines == ["* 2 EXISTS", "* 2 RECENT"]
    assert "(\\Recent)" in first.ok("FETCH 2 (FLAGS)").lines[0]


def test_rights_make_it_read_only_and_limit_the_flags() -> None:
    house = House()
    house.inbox.rights = "lr"
    answer = house.client().ok("SELECT INBOX")
    assert answer.tagged.startswith("OK [READ-ONLY]")
    house.inbox.rights = "lrs"
    answer = house.client().ok("SELECT INBOX")
    assert answer.having("PERMANENTFLAGS (\\Seen)")
    house.inbox.rights = "l"
    assert "[NOPERM]" in house.client().no("SELECT INBOX").tagged


def test_selecting_another_one_closes_the_first() -> None:
    house = House(message())
    house.folders.add("Other")
    client = house.client("SELECT INBOX")
    assert client.ok("SELECT Other").lines[0].startswith("* OK [CLOSED]")
    assert house.inbox.listeners == []


def test_a_failing_select_leaves_nothing_selected() -> None:
    client = House(message()).client("SELECT INBOX")
    assert client.no("SELECT Nowhere").lines[0].startswith("* OK [CLOSED]")
    client.bad("FETCH 1 FLAGS")


@pytest.mark.parametrize(("command", "left"), [("CLOSE", 1), ("UNSELECT", 2)])
def test_close_expunges_and_unselect_does_not(command: str, left: int) -> None:
    house = House()
    house.inbox.put(message(), DELETED)
    house.inbox.put(message())
    client = house.client("SELECT INBOX")
    assert client.ok(command).lines == []
    assert len(house.inbox.messages) == left
    assert house.inbox.listeners == []
    client.bad("CLOSE")


# ---- CONDSTORE and QRESYNC


def test_qresync_has_to_be_enabled() -> None:
    House().client().bad("SELECT INBOX (QRESYNC (1 2))")


def test_qresync_tells_what_happened_meanwhile() -> None:
    house = House(*[message()] * 5)
    before = house.inbox.highest_modseq
    house.inbox.take(2, 3)
    house.inbox.mark(4, SEEN)
    house.inbox.put(message())
    client = house.client("ENABLE QRESYNC")
    answer = client.ok(f"SELECT INBOX (QRESYNC (1001 {before}))")
    assert "* VANISHED (EARLIER) 2:3" in answer.lines
    assert answer.having("FETCH") == [
        "* 2 FETCH (UID 4 FLAGS (\\Seen \\Recent) MODSEQ (8))",
        "* 4 FETCH (UID 6 FLAGS (\\Recent) MODSEQ (9))",
    ]
    order = [n for n, line in enumerate(answer.lines) if "VANISHED" in line or "EXISTS" in line]
    assert order == sorted(order)


def test_qresync_of_another_validity_tells_nothing() -> None:
    house = House(message())
    answer = house.client("ENABLE QRESYNC").ok("SELECT INBOX (QRESYNC (77 1))")
    assert not answer.having("FETCH")


def test_qresync_within_known_uids() -> None:
    house = House(*[message()] * 6)
    before = house.inbox.highest_modseq
    house.inbox.take(1, 4)
    house.inbox.mark(2, SEEN)
    house.inbox.mark(5, SEEN)
    client = house.client("ENABLE QRESYNC")
    answer = client.ok(f"SELECT INBOX (QRESYNC (1001 {before} 4:5))")
    assert "* VANISHED (EARLIER) 4" in answer.lines
    assert [line.split()[4] for line in answer.having("FETCH")] == ["5"]


def test_qresync_with_matching_numbers() -> None:
    house = House(*[message()] * 4)
    client = house.client("ENABLE QRESYNC")
    house.inbox.gone[99] = 50
    house.inbox.gone[2] = 50  # a folder may say too much: number 2 still is uid 2
    answer = client.ok("SELECT INBOX (QRESYNC (1001 10 1:99 (1:3 1:3)))")
    assert "* VANISHED (EARLIER) 99" in answer.lines


def test_condstore_puts_modseq_into_every_fetch() -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    house.inbox.mark(1, SEEN)
    assert client.ok("NOOP").lines == ["* 1 FETCH (FLAGS (\\Seen \\Recent))"]
    client.ok("SELECT INBOX (CONDSTORE)")
    house.inbox.mark(1)
    assert client.ok("NOOP").lines == ["* 1 FETCH (UID 1 FLAGS () MODSEQ (4))"]


# ---- telling


def test_expunges_wait_for_a_command_that_allows_them() -> None:
    house = House(*[message()] * 3)
    client = house.client("SELECT INBOX")
    house.inbox.take(1)
    for command in ("FETCH 2 (UID)", "STORE 2 +FLAGS (x)", "SEARCH ALL"):
        assert not client.ok(command).having("EXPUNGE")
    assert "* 1 EXPUNGE" in client.ok("NOOP").lines
    house.inbox.take(2)
    assert "* 1 EXPUNGE" in client.ok("UID FETCH 3 (FLAGS)").lines


def test_numbers_of_several_expunges() -> None:
    house = House(*[message()] * 5)
    client = house.client("SELECT INBOX")
    house.inbox.take(2, 3, 5)
    house.inbox.put(message())
    lines = client.ok("NOOP").lines
    view = [1, 2, 3, 4, 5]
    for line in lines[:3]:
        del view[int(line.split()[1]) - 1]
    assert view == [1, 4]
    assert lines[3] == "* 3 EXISTS"


def test_vanished_with_qresync() -> None:
    house = House(*[message()] * 3)
    client = house.client("ENABLE QRESYNC", "SELECT INBOX")
    house.inbox.take(1, 2)
    assert client.ok("NOOP").lines == ["* VANISHED 1:2"]


def test_uid_only() -> None:
    house = House(*[message()] * 3)
    client = house.client("ENABLE UIDONLY", "SELECT INBOX")
    house.inbox.take(1)
    house.inbox.mark(3, SEEN)
    assert client.ok("NOOP").lines == ["* VANISHED 1", "* 3 UIDFETCH (FLAGS (\\Seen \\Recent))"]
    assert "[UIDREQUIRED]" in client.bad("FETCH 1 FLAGS").tagged


# ---- IDLE


def test_idle_tells_at_once_and_all_of_one_turn_together() -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    assert client.do("IDLE").octets == b"+ idling\r\n"
    assert client.pushed() == []
    house.inbox.put(message())
    house.inbox.put(message())
    house.inbox.mark(1, SEEN)
    house.inbox.take(2)
    lines = client.pushed()
    assert lines == ["* 2 EXISTS", "* 2 RECENT", "* 1 FETCH (FLAGS (\\Seen \\Recent))"]
    assert client.pushed() == []
    tag = client.tag
    assert client.send(b"DONE\r\n") == tag + b" OK Idle ended\r\n"
    house.inbox.put(message())
    assert client.pushed() == []  # RFC 9051 section 7.5.1 would allow it, clients are surprised
    assert client.ok("NOOP").lines[0] == "* 3 EXISTS"


def test_two_sessions_and_a_store_between_them() -> None:
    house = House(message())
    one, other = house.client("SELECT INBOX"), house.client("SELECT INBOX")
    other.do("IDLE")
    lines = one.ok("STORE 1 +FLAGS (\\Flagged)").lines
    assert lines == ["* 1 FETCH (FLAGS (\\Flagged \\Recent))"]
    assert one.ok("NOOP").lines == []
    assert other.pushed() == ["* 1 FETCH (FLAGS (\\Flagged))"]


def test_idle_tells_what_the_command_before_could_not() -> None:
    house = House(*[message()] * 2)
    client = house.client("SELECT INBOX")
    house.inbox.take(1)
    client.ok("FETCH 2 (UID)")
    assert client.do("IDLE").octets == b"+ idling\r\n* 1 EXPUNGE\r\n"


def test_no_news_after_the_bye() -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    client.do("IDLE")
    house.inbox.put(message())
    house.factory.drain()
    assert client.heard().count(b"\r\n") == 1
    assert client.closed


def test_new_keywords_are_told_before_they_are_used() -> None:
    house = House(*[message()] * 2)
    client = house.client("SELECT INBOX")
    house.inbox.mark(1, "$Work")
    lines = client.ok("NOOP").lines
    assert lines[0].endswith("\\Draft $Work)")
    assert "PERMANENTFLAGS" in lines[1]
    assert "$Work" in lines[2]
    lines = client.ok("STORE 2 +FLAGS (Other)").lines
    assert "$Work" in lines[0]
    assert "Other" in lines[0]
    assert len(client.ok("STORE 1 +FLAGS (Other)").lines) == 1


def test_trouble_with_the_news_is_no_fault_of_the_command() -> None:
    house = House(message())
    client = house.client("SELECT INBOX")

    async def fail() -> None:
        raise KeyError

    house.inbox.put(message())
    house.inbox.claim_recent = fail  # type: ignore[method-assign, assignment]
    assert client.ok("NOOP").lines[0] == "* 2 EXISTS"
    assert house.journal.of("refuse")["rule"] == "news"


def test_idle_without_a_folder() -> None:
    house = House()
    client = house.client()
    client.do("IDLE")
    house.inbox.put(message())
    assert client.pushed() == []
    assert b"OK" in client.send(b"done\r\n")


def test_a_search_that_goes_on_is_told_after_the_news() -> None:
    house = House(*[message()] * 2)
    client = house.client("SELECT INBOX")
    client.ok("UID SEARCH RETURN (ALL UPDATE) UNSEEN")
    tag = client.tag.decode()
    house.inbox.put(message())
    house.inbox.take(1)
    lines = client.ok("NOOP").lines
    assert [line.split()[1] for line in lines] == ["ESEARCH", "1", "2", "2", "ESEARCH"]
    assert f'"{tag}"' in lines[0]
    assert "REMOVEFROM (0 1)" in lines[0]
    assert "ADDTO (0 3)" in lines[-1]


def test_the_old_name_of_the_selected_folder_is_anothers() -> None:
    house = House()
    mine = house.folders.add("Old")
    mine.put(message())
    client, other = house.client("SELECT Old"), house.client()
    other.ok("RENAME Old New")
    mine.name = "Old"  # a session's folder keeps the name under which it was opened
    assert "[TRYCREATE]" in client.no("COPY 1 Old").tagged
    other.ok("CREATE Old")
    client.ok("COPY 1 Old")
    assert (len(mine.messages), len(house.folders.there["Old"].messages)) == (1, 1)
    assert client.ok("DELETE Old").having("[CLOSED]") == []
    assert client.ok("DELETE New").having("[CLOSED]")


def test_a_deleted_folder_is_not_selected_any_more() -> None:
    house = House()
    house.folders.add("Old")
    client = house.client("SELECT Old")
    assert client.ok("DELETE Old").having("[CLOSED]")
    client.bad("CHECK")
