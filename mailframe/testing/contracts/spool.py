"""``ISpool`` and ``IIncoming``: what stands between DATA and the 250."""

from __future__ import annotations

from typing import Any

from mailframe.core.envelope import Envelope
from mailframe.interfaces import Arrival, IIncoming, IMessageSource, ISpool
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import MESSAGES, SHORT, envelope

PREFIX = b"Received: from x by y; now\r\n"
ARRIVAL = Arrival("S1", "192.0.2.7", "client.example", None, "ESMTPS", "<1@a.example>")


class SpoolContract(Contract):
    """Give it ``make`` and ``kept``."""

    def make(self) -> Any:
        """A spool that is empty and open."""
        self.not_given("make")

    def kept(self, spool: Any) -> dict[str, tuple[bytes, Envelope]]:
        """What would be delivered now: by queue id, the content (prefix included) and the
        envelope."""
        self.not_given("kept")

    def test_it_provides_what_it_says(self) -> None:
        spool = self.make()
        self.provides(ISpool, spool)
        incoming = self._begin(spool)
        self.provides(IIncoming, incoming)
        incoming.abort()

    def test_what_was_committed_is_kept(self) -> None:
        """250: it is on disk, with all recipients, and what was put on top."""
        spool = self.make()
        for number, content in enumerate(MESSAGES):
            self._commit(spool, content, queue_id=f"Q{number}")
        kept = self.kept(spool)
        for number, content in enumerate(MESSAGES):
            found, envelope_kept = kept[f"Q{number}"]
            self.same([found], [PREFIX + content], "it is kept otherwise than it was received")
            assert [str(r.address) for r in envelope_kept.recipients] == [
                "ann@example.test",
                "cy@elsewhere.example",
            ]
            assert str(envelope_kept.reverse_path) == "bob@b.example"

    def test_nothing_is_kept_before_the_commit(self) -> None:
        """A power cut before the 250: the sender tries again. Kept already, there are two."""
        spool = self.make()
        incoming = self._begin(spool)
        self._write(incoming, SHORT)
        assert self.kept(spool) == {}
        incoming.abort()
        incoming.abort()
        assert self.kept(spool) == {}

    def test_to_abort_what_is_kept_is_harmless(self) -> None:
        spool = self.make()
        self._commit(spool, SHORT).abort()
        assert list(self.kept(spool)) == ["Q1"]

    def test_its_size_and_id(self) -> None:
        spool = self.make()
        incoming = self._begin(spool, "Q7")
        assert (incoming.queue_id, incoming.size) == ("Q7", 0)
        self._write(incoming, SHORT)
        assert incoming.size == len(SHORT), "size limits count it"
        incoming.abort()

    def test_it_can_be_read_before_the_commit(self) -> None:
        """Policies look at what was received, several times, and the commit comes after."""
        spool = self.make()
        for number, content in enumerate(MESSAGES):
            incoming = self._begin(spool, f"Q{number}")
            self._write(incoming, content)
            for _ in range(2):
                source = self.wait(incoming.open())
                self.provides(IMessageSource, source)
                self.same([self._read(source)], [content])
                source.close()
            self.wait(incoming.commit(envelope("ann@example.test"), ARRIVAL, b""))
            self.same([self.kept(spool)[f"Q{number}"][0]], [content])

    def test_several_at_once(self) -> None:
        """Sessions do not wait for each other, and do not mix."""
        spool = self.make()
        first, second = self._begin(spool, "Q1"), self._begin(spool, "Q2")
        for at in range(0, 100_000, 10_000):
            self.wait(first.write(MESSAGES[1][at : at + 10_000]))
            self.wait(second.write(b"x" * 100 + b"\r\n"))
        commits = [
            each.commit(envelope("ann@example.test"), ARRIVAL, PREFIX) for each in (second, first)
        ]
        for commit in commits:
            self.wait(commit)
        kept = self.kept(spool)
        expected = [PREFIX + MESSAGES[1][:100_000], PREFIX + (b"x" * 100 + b"\r\n") * 10]
        self.same([kept["Q1"][0], kept["Q2"][0]], expected, "they were mixed")

    def test_one_that_is_forgotten_takes_no_other_along(self) -> None:
        spool = self.make()
        first, second = self._begin(spool, "Q1"), self._begin(spool, "Q2")
        self._write(first, SHORT)
        self._write(second, SHORT)
        first.abort()
        self.wait(second.commit(envelope("ann@example.test"), ARRIVAL, b""))
        assert list(self.kept(spool)) == ["Q2"]

    def test_the_null_sender_stays_null(self) -> None:
        """Otherwise bounces are bounced."""
        spool = self.make()
        incoming = self._begin(spool)
        self._write(incoming, SHORT)
        self.wait(incoming.commit(envelope("ann@example.test", sender=None), ARRIVAL, b""))
        assert self.kept(spool)["Q1"][1].reverse_path is None

    # ---- how

    def _begin(self, spool: Any, queue_id: str = "Q1") -> Any:
        return self.wait(spool.begin(queue_id))

    def _write(self, incoming: Any, content: bytes) -> None:
        for at in range(0, len(content), 8_192):
            self.wait(incoming.write(content[at : at + 8_192]))

    def _commit(self, spool: Any, content: bytes, *, queue_id: str = "Q1") -> Any:
        incoming = self._begin(spool, queue_id)
        self._write(incoming, content)
        recipients = envelope("ann@example.test", "cy@elsewhere.example")
        self.wait(incoming.commit(recipients, ARRIVAL, PREFIX))
        return incoming

    def _read(self, source: Any) -> bytes:
        pieces = []
        while piece := self.wait(source.read(10_000)):
            assert len(piece) <= 10_000
            pieces.append(bytes(piece))
        return b"".join(pieces)
