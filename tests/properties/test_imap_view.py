"""Whatever happens to a folder, a client that applies what it is told agrees with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.folders import FolderChange
from mailframe.protocols.imap.view import News, SelectedView


class Folder:
    """The truth: uid to a counter of changes."""

    def __init__(self, count: int) -> None:
        self.messages = dict.fromkeys(range(1, count + 1), 0)
        self.uid_next = count + 1

    def arrive(self, count: int, gap: int) -> FolderChange:
        arrived = []
        for _ in range(count):
            self.uid_next += gap
            self.messages[self.uid_next] = 0
            arrived.append(self.uid_next)
            self.uid_next += 1
        return FolderChange(arrived=arrived)

    def change(self, picks: list[int]) -> FolderChange:
        chosen = self._chosen(picks)
        for uid in chosen:
            self.messages[uid] += 1
        return FolderChange(changed=chosen)

    def expunge(self, picks: list[int]) -> FolderChange:
        chosen = self._chosen(picks)
        for uid in chosen:
            del self.messages[uid]
        return FolderChange(vanished=chosen)

    def _chosen(self, picks: list[int]) -> list[int]:
        uids = list(self.messages)
        return sorted({uids[pick % len(uids)] for pick in picks}) if uids else []


class Client:
    """What a mail program believes: its messages by number, and the state of their flags."""

    def __init__(self, folder: Folder) -> None:
        self.rows = [list(row) for row in folder.messages.items()]

    def hear(self, news: News, folder: Folder, view: SelectedView) -> None:
        gone = []
        for number in news.expunged:
            assert 1 <= number <= len(self.rows)
            gone.append(self.rows.pop(number - 1)[0])
        assert sorted(gone) == list(news.vanished)
        if news.exists is not None:
            assert news.exists > len(self.rows)
            assert news.exists - len(self.rows) == len(news.arrived)
            # It fetches what is new; what went meanwhile has no flags to show.
            self.rows += [[uid, folder.messages[uid]] for uid in news.arrived]
        for uid in news.changed:
            number = view.number(uid)
            assert self.rows[number - 1][0] == uid
            self.rows[number - 1][1] = folder.messages[uid]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.integers(1, 4), st.integers(0, 3)),
        st.tuples(st.just("change"), st.lists(st.integers(0, 50), max_size=4)),
        st.tuples(st.just("expunge"), st.lists(st.integers(0, 50), max_size=6)),
        st.tuples(st.just("store"), st.lists(st.integers(0, 50), max_size=4)),
        st.tuples(st.just("drain"), st.booleans()),
    ),
    max_size=40,
)


def apply(step: tuple[object, ...], folder: Folder, client: Client, view: SelectedView) -> None:
    match step:
        case ("arrive", int(count), int(gap)):
            view.note(folder.arrive(count, gap))
        case ("change", list(picks)):
            view.note(folder.change(picks))
        case ("expunge", list(picks)):
            view.note(folder.expunge(picks))
        case ("store", list(picks)):
            own_store(picks, folder, client, view)
        case ("drain", bool(expunges)):
            client.hear(view.drain(expunges=expunges), folder, view)


def own_store(picks: list[int], folder: Folder, client: Client, view: SelectedView) -> None:
    """The client stores and knows by itself what comes of it; others store at the same time."""
    wanted = [uid for uid in folder._chosen(picks) if uid in view]
    view.expect(wanted)
    others = folder.change(picks[:2])
    view.note(others)
    for uid in wanted[1:]:
        folder.messages[uid] += 1
    view.note(FolderChange(changed=wanted[1:]))
    view.settle(wanted[1:])
    for uid in wanted[1:]:
        if uid not in others.changed:
            row = client.rows[view.number(uid) - 1]
            row[1] += 1


@given(st.integers(0, 8), STEPS)
def test_the_client_agrees_once_it_was_told(count: int, steps: list[tuple[object, ...]]) -> None:
    folder = Folder(count)
    view = SelectedView(folder.messages)
    client = Client(folder)
    for step in steps:
        apply(step, folder, client, view)
        assert [row[0] for row in client.rows] == list(view.uids)
    client.hear(view.drain(expunges=True), folder, view)
    assert dict(client.rows) == folder.messages
    assert not view.has_news()
