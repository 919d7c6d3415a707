"""``IFolders``, all folders of one user, with every optional power that it provides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import SkipTest

from mailframe.core.folders import Annotation, FolderInfo, FolderReason, Namespaces
from mailframe.errors import FolderRefused
from mailframe.interfaces import (
    IAccessControl,
    IAnnotations,
    IFolder,
    IFolders,
    IQuotas,
    IStatuses,
)
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import SHORT, WRITABLE_NAMES


class FoldersContract(Contract):
    """Give it ``make``; ``put``, where there is another way than APPEND to put a message in."""

    def make(self) -> IFolders:
        """Those of an account that is new: INBOX is there, and empty."""
        self.not_given("make")

    def put(self, folder: Any, content: bytes) -> None:
        """Put a message in wire format into a folder that ``make`` yielded."""
        from mailframe.core.folders import NewMessage

        receiving = folder.receive()
        self.wait(receiving.begin(NewMessage(), len(content)))
        self.wait(receiving.write(content))
        self.wait(receiving.commit())

    # ---- what is there

    def test_it_provides_what_it_says(self) -> None:
        folders = self.make()
        self.provides(IFolders, folders)
        assert isinstance(folders.namespaces, Namespaces)

    def test_inbox_is_always_there(self) -> None:
        """RFC 9051 section 5.1, however it is written. Without it no login succeeds."""
        folders = self.make()
        for name in ("INBOX", "inbox", "Inbox"):
            folder = self.wait(folders.folder(name))
            self.provides(IFolder, folder)
            assert folder.name.upper() == "INBOX"
        assert [each.name for each in self._list(folders) if each.name.upper() == "INBOX"] == [
            "INBOX"
        ]

    def test_what_is_not_there(self) -> None:
        """IMAP: ``NO [NONEXISTENT]``, after which clients create it."""
        error = self.must_raise(FolderRefused, lambda: self.make().folder("Nowhere"))
        assert error.reason is FolderReason.NONEXISTENT

    def test_hostile_names(self) -> None:
        """Whatever a name is, it is refused or it is a folder's: nobody reads ``/etc/passwd``, and
        nothing is logged with a traceback."""
        folders = self.make()
        for name in WRITABLE_NAMES:
            self.may_fail(lambda name=name: folders.folder(name), FolderRefused)  # type: ignore[misc]
            self.may_fail(lambda name=name: folders.create(name), FolderRefused)  # type: ignore[misc]
            self.may_fail(lambda name=name: folders.delete(name), FolderRefused)  # type: ignore[misc]
            self.may_fail(
                lambda name=name: folders.rename(name, f"{name}2"),  # type: ignore[misc]
                FolderRefused,
            )
            self.may_fail(
                lambda name=name: folders.subscribe(name, True),  # type: ignore[misc]
                FolderRefused,
            )
        assert "INBOX" in [each.name for each in self._list(folders)]
        self.wait(self.wait(folders.folder("INBOX")).refresh())

    # ---- create, delete, rename

    def test_a_folder_is_created_with_the_levels_above(self) -> None:
        folders = self.make()
        made = self._create(folders, "Work/2026")
        assert made, "RFC 8474: CREATE answers with the MAILBOXID"
        listed = self._list(folders)
        names = [each.name for each in listed]
        assert names == sorted(names), "LIST is sorted by name"
        assert {"INBOX", "Work", "Work/2026"} <= set(names)
        folder = self.wait(folders.folder("Work/2026"))
        self.wait(folder.refresh())
        assert folder.mailbox_id == made
        assert len(folder.messages) == 0

    def test_names_in_any_script(self) -> None:
        folders = self.make()
        self._create(folders, "Εργασία")
        assert self.wait(folders.folder("Εργασία")).name == "Εργασία"

    def test_a_folder_is_created_once(self) -> None:
        folders = self.make()
        self._create(folders, "Work")
        for name in ("Work", "INBOX", "inbox"):
            error = self.must_raise(
                FolderRefused,
                lambda name=name: folders.create(name),  # type: ignore[misc]
            )
            assert error.reason is FolderReason.ALREADY_EXISTS, name

    def test_a_deleted_folder_is_gone_and_its_children_stay(self) -> None:
        """RFC 9051 section 6.3.5."""
        folders = self.make()
        self._create(folders, "Work/2026")
        self.wait(folders.delete("Work"))
        there = {each.name: each.exists for each in self._list(folders)}
        assert there["Work/2026"]
        assert not there.get("Work", False)
        self.must_raise(FolderRefused, lambda: folders.folder("Work"))
        again = self.must_raise(FolderRefused, lambda: folders.delete("Work"))
        assert again.reason in (FolderReason.NONEXISTENT, FolderReason.HAS_CHILDREN)

    def test_inbox_cannot_be_deleted(self) -> None:
        folders = self.make()
        self.must_raise(FolderRefused, lambda: folders.delete("INBOX"))
        assert self.wait(folders.folder("INBOX"))

    def test_a_folder_made_anew_is_another_one(self) -> None:
        """UIDVALIDITY must grow, or a client takes the new messages for those it has."""
        folders = self.make()
        before = self._create(folders, "Work")
        validity = self._opened(folders, "Work").uid_validity
        self.wait(folders.delete("Work"))
        assert self._create(folders, "Work") != before
        assert self._opened(folders, "Work").uid_validity > validity

    def test_a_renamed_folder_takes_its_mail_and_children_along(self) -> None:
        folders = self.make()
        made = self._create(folders, "Work")
        self._create(folders, "Work/2026")
        self._put(folders, "Work/2026")
        self.wait(folders.rename("Work", "Old/Work"))
        assert self._opened(folders, "Old/Work").mailbox_id == made, (
            "RFC 8474: MAILBOXID survives a rename"
        )
        assert len(self._opened(folders, "Old/Work/2026").messages) == 1
        self.must_raise(FolderRefused, lambda: folders.folder("Work/2026"))

    def test_only_the_mail_of_a_renamed_inbox_moves(self) -> None:
        """RFC 9051 section 6.3.6."""
        folders = self.make()
        self._may_change(folders)
        self._put(folders, "INBOX")
        self.wait(folders.rename("INBOX", "Old"))
        assert len(self._opened(folders, "Old").messages) == 1
        assert len(self._opened(folders, "INBOX").messages) == 0

    def test_what_cannot_be_renamed(self) -> None:
        folders = self.make()
        self._create(folders, "Work")
        self._create(folders, "Home")
        for old, new, reason in (
            ("Nowhere", "Somewhere", FolderReason.NONEXISTENT),
            ("Work", "Home", FolderReason.ALREADY_EXISTS),
            ("Work", "INBOX", FolderReason.ALREADY_EXISTS),
        ):
            error = self.must_raise(
                FolderRefused,
                lambda old=old, new=new: folders.rename(old, new),  # type: ignore[misc]
            )
            assert error.reason is reason, f"{old} to {new}"
        self.must_raise(FolderRefused, lambda: folders.rename("Work", "Work/In"))
        assert {"Work", "Home"} <= {each.name for each in self._list(folders)}

    # ---- subscriptions, and hearing of it

    def test_subscriptions(self) -> None:
        folders = self.make()
        self._create(folders, "Work")
        self._subscribe(folders, "Work", True)
        assert self._named(folders, "Work").subscribed
        self._subscribe(folders, "Work", True)  # twice is fine
        self._subscribe(folders, "Work", False)
        assert not self._named(folders, "Work").subscribed

    def test_a_subscription_outlives_its_folder(self) -> None:
        """RFC 9051 section 6.3.7: a server must not unsubscribe by itself."""
        folders = self.make()
        self._create(folders, "Work")
        self._subscribe(folders, "Work", True)
        self.wait(folders.delete("Work"))
        assert self._named(folders, "Work") == FolderInfo(
            "Work", exists=False, subscribed=True, rights=self._named(folders, "Work").rights
        )

    def test_watchers_hear_of_what_came_went_or_was_renamed(self) -> None:
        folders = self.make()
        self._may_change(folders)
        heard: list[str] = []
        leave = folders.watch(heard.append)
        self.wait(folders.create("Work"))
        self.wait(folders.rename("Work", "Home"))
        self.wait(folders.delete("Home"))
        assert heard[0] == "Work"
        assert {"Work", "Home"} <= set(heard[1:])
        leave()
        told = len(heard)
        self.wait(folders.create("Other"))
        assert len(heard) == told

    # ---- optional powers

    def test_status_is_that_of_the_folder(self) -> None:
        folders = self.make()
        self.needs(IStatuses, folders)
        self._put(folders, "INBOX")
        status = self.wait(folders.status("INBOX"))  # type: ignore[attr-defined]
        folder = self._opened(folders, "INBOX")
        assert status.messages == status.unseen == len(folder.messages) == 1
        assert (status.uid_next, status.uid_validity) == (folder.uid_next, folder.uid_validity)
        assert status.size == len(SHORT)
        assert (status.highest_modseq, status.mailbox_id) == (
            folder.highest_modseq,
            folder.mailbox_id,
        )
        self.must_raise(FolderRefused, lambda: folders.status("Nowhere"))  # type: ignore[attr-defined]

    def test_quota(self) -> None:
        folders = self.make()
        self.needs(IQuotas, folders)
        found = self.wait(folders.quota("INBOX"))  # type: ignore[attr-defined]
        if found is None:
            raise SkipTest("no limit is kept")
        self._put(folders, "INBOX")
        after = self.wait(folders.quota("INBOX"))  # type: ignore[attr-defined]
        assert (after.messages, after.octets) == (found.messages + 1, found.octets + len(SHORT))

    def test_annotations(self) -> None:
        folders = self.make()
        self.needs(IAnnotations, folders)
        entry = "/private/comment"
        for name in ("INBOX", ""):
            for value in (b"a", b"b", b"", b"\xff\x00"):
                self.wait(folders.annotate(name, [Annotation(entry, value)]))  # type: ignore[attr-defined]
                assert Annotation(entry, value) in self._annotations(folders, name)
            self.wait(folders.annotate(name, [Annotation(entry, None)]))  # type: ignore[attr-defined]
            assert entry not in [each.entry for each in self._annotations(folders, name)]

    def test_access_control(self) -> None:
        folders = self.make()
        self.needs(IAccessControl, folders)
        rights = self.wait(folders.my_rights("INBOX"))  # type: ignore[attr-defined]
        assert set("lr") <= set(rights) <= set("lrswipkxtea")
        (owner, *_) = self.wait(folders.acl("INBOX"))  # type: ignore[attr-defined]
        assert owner[0]
        for sign, given, expected in (("", "lr", "lr"), ("+", "s", "lrs"), ("-", "l", "rs")):
            self.wait(
                folders.set_acl("INBOX", "anyone", given, sign)  # type: ignore[attr-defined]
            )
            found = dict(self.wait(folders.acl("INBOX")))  # type: ignore[attr-defined]
            assert set(found["anyone"]) == set(expected)
        self.wait(folders.set_acl("INBOX", "anyone", ""))  # type: ignore[attr-defined]
        assert "anyone" not in dict(self.wait(folders.acl("INBOX")))  # type: ignore[attr-defined]

    # ---- how

    def _annotations(self, folders: Any, name: str) -> Sequence[Annotation]:
        found: Sequence[Annotation] = self.wait(folders.annotations(name))
        return found

    def _list(self, folders: IFolders) -> Sequence[FolderInfo]:
        found: Sequence[FolderInfo] = self.wait(folders.all())
        return found

    def _named(self, folders: IFolders, name: str) -> FolderInfo:
        (found,) = [each for each in self._list(folders) if each.name == name]
        return found

    def _opened(self, folders: IFolders, name: str) -> Any:
        folder = self.wait(folders.folder(name))
        self.wait(folder.refresh())
        return folder

    def _put(self, folders: IFolders, name: str) -> None:
        self.put(self._opened(folders, name), SHORT)

    def _may_change(self, folders: IFolders) -> None:
        self._create(folders, "Changeable")
        self.wait(folders.delete("Changeable"))

    def _create(self, folders: IFolders, name: str) -> Any:
        """Skip where none can be created."""
        try:
            return self.wait(folders.create(name))
        except FolderRefused as error:
            if error.reason not in (FolderReason.CANNOT, FolderReason.NO_PERMISSION):
                raise
            raise SkipTest("no folders can be created") from None

    def _subscribe(self, folders: IFolders, name: str, subscribed: bool) -> None:
        self.wait(folders.subscribe(name, subscribed))
