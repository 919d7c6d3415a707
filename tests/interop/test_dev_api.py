"""Clients and test helpers that were written for Mailpit, against ``mailframe dev``, unchanged."""

from __future__ import annotations

import json
import os
import smtplib
import time
import unittest
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from mailframe.testing.inbox import MailframeInbox
from tests.interop.peers.node import node_modules
from tests.interop.peers.process import need, run


@pytest.fixture(scope="module")
def inbox() -> Iterator[MailframeInbox]:
    with MailframeInbox() as running:
        yield running


@pytest.fixture(autouse=True)
def empty(inbox: MailframeInbox) -> None:
    inbox.clear()


def letter(subject: str, to: str = "Ann <ann@x.test>") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Cc"] = "Bob <bob@there.test>", to, "cy@there.test"
    message["Subject"], message["Message-ID"] = subject, f"<{subject.lower()}@there.test>"
    message["Date"] = "Fri, 27 Nov 2026 10:00:00 +0200"
    message.set_content("Your code is 482913\n")
    message.add_alternative("<p>Your code is <b>482913</b></p>", subtype="html")
    message.add_attachment("a,b\n", subtype="csv", filename="list.csv")
    return message


def send(inbox: MailframeInbox, message: EmailMessage, *recipients: str) -> None:
    with smtplib.SMTP(inbox.host, inbox.port) as client:
        client.send_message(message, to_addrs=recipients or None)


# ---- mailpit-api-client (PyPI)


def test_the_python_client(inbox: MailframeInbox) -> None:
    pytest.importorskip("mailpit.client.api", reason="mailpit-api-client is not installed")
    from mailpit.client.api import API

    api = API(inbox.web)
    assert api.get_messages().total == 0
    for subject in ("First", "Second", "Third"):
        send(inbox, letter(subject))
    page = api.get_messages(limit=2)
    assert (page.total, page.unread, page.count, page.start) == (3, 3, 2, 0)
    assert [each.subject for each in page.messages] == ["Third", "Second"]
    third = page.messages[0]
    assert third.from_.name == "Bob"
    assert third.to[0].address == "ann@x.test"
    assert abs(third.created.timestamp() - time.time()) < 60
    message = api.get_message(third.id)
    assert message.message_id == "third@there.test"
    assert message.date.isoformat() == "2026-11-27T10:00:00+02:00"
    assert "482913" in message.text
    assert [each.file_name for each in message.attachments] == ["list.csv"]
    part = message.attachments[0].part_id
    assert api.get_message_attachment(third.id, part).split() == ["a,b"]
    headers = api.get_message_headers(third.id)
    assert headers.message_id == ["<third@there.test>"]
    assert headers.date[0].year == 2026
    assert api.get_messages().unread == 2
    api.put_messages([page.messages[1].id], "Read", True)
    assert api.get_messages().unread == 1
    api.delete_messages([third.id])
    assert [each.subject for each in api.get_messages().messages] == ["Second", "First"]
    api.delete_messages([])
    assert api.get_messages().total == 0


def test_its_unittest_helper(inbox: MailframeInbox) -> None:
    pytest.importorskip("mailpit.testing.unittest", reason="mailpit-api-client is not installed")
    from mailpit.testing.unittest import EMailTestCase

    class Signup(EMailTestCase):  # type: ignore[misc]
        api_url = inbox.web

        def test_received(self) -> None:
            send(inbox, letter("Welcome"))
            self.assertMessageReceived("welcome@there.test")  # at once: it does not poll

        def test_not_received(self) -> None:
            with self.assertRaises(AssertionError):
                self.assertMessageReceived("nothing@there.test")

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Signup).run(result)
    assert result.testsRun == 2
    assert result.wasSuccessful(), result.failures + result.errors


def test_a_message_is_there_as_soon_as_it_was_accepted(inbox: MailframeInbox) -> None:
    recipients = [f"user{number}@x.test" for number in range(40)]
    with smtplib.SMTP(inbox.host, inbox.port) as client:
        for number in range(25):
            client.send_message(letter(f"No{number}"), to_addrs=recipients)
            newest = Mailbox(inbox.web).ask("message/latest")
            assert newest["Subject"] == f"No{number}"
            assert len(newest["Bcc"]) == 40


# ---- mailpit-api (npm)

JAVASCRIPT = """
const { MailpitClient } = require("mailpit-api");
const assert = require("node:assert");
(async () => {
  const mailpit = new MailpitClient(process.argv[2]);
  await mailpit.deleteMessages();
  const sent = await mailpit.sendMessage({ From: { Email: "user@example.test", Name: "Ünal" },
    To: [{ Email: "rec@example.test", Name: "Recipient" }, { Email: "another@example.test" }],
    Bcc: ["hidden@example.test"], Subject: "Welcome", Text: "Hello", HTML: "<b>Hello</b>",
    Tags: ["one"],
    Attachments: [{ Content: "aGk=", Filename: "a.txt", ContentType: "text/plain" }] });
  const message = await mailpit.waitForMessage({ query: "subject:Welcome to:rec" });
  assert.strictEqual(message.ID, sent.ID);
  assert.strictEqual(message.From.Name, "Ünal");
  assert.deepStrictEqual(message.Bcc, [{ Name: "", Address: "hidden@example.test" }]);
  assert.deepStrictEqual(message.Tags, ["one"]);
  const blob = await mailpit.getMessageAttachment(message.ID, message.Attachments[0].PartID);
  assert.strictEqual(blob.type, "text/plain");
  assert.strictEqual(await blob.text(), "hi");
  assert.strictEqual((await mailpit.getMessageHeaders()).Subject[0], "Welcome");
  assert.match(await mailpit.getMessageSource(), /^Subject: Welcome/m);
  assert.match(await mailpit.renderMessageHTML(), /<b>Hello/);
  assert.match(await mailpit.renderMessageText(), /Hello/);
  await mailpit.setReadStatus({ IDs: [sent.ID], Read: false });
  let list = await mailpit.listMessages();
  assert.strictEqual(list.messages_unread, 1);
  await mailpit.setReadStatus({ Search: "is:unread", Read: true });
  assert.strictEqual((await mailpit.searchMessages({ query: "is:unread" })).messages_count, 0);
  await mailpit.setTags({ IDs: [sent.ID], Tags: ["two"] });
  await mailpit.renameTag("two", "three");
  assert.deepStrictEqual(await mailpit.getTags(), ["three"]);
  await mailpit.deleteTag("three");
  const triggers = { Sender: { ErrorCode: 451, Probability: 5 } };
  assert.strictEqual((await mailpit.setChaosTriggers(triggers)).Sender.Probability, 5);
  assert.strictEqual((await mailpit.getChaosTriggers()).Recipient.ErrorCode, 451);
  await mailpit.setChaosTriggers({});
  assert.strictEqual((await mailpit.getInfo()).Messages, 1);
  assert.strictEqual((await mailpit.getConfiguration()).MessageRelay.Enabled, false);
  await assert.rejects(mailpit.releaseMessage("latest", { To: ["a@b.test"] }), /400/);
  await mailpit.deleteMessagesBySearch({ query: "tag:none" });
  await mailpit.deleteMessages({ IDs: [sent.ID] });
  list = await mailpit.waitForMessages({ count: 0 });
  assert.strictEqual(list.total, 0);
  console.log("fine");
})().catch((error) => { console.error(error); process.exit(1); });
"""


def test_the_javascript_client(inbox: MailframeInbox) -> None:
    environment = os.environ | {"NODE_PATH": node_modules()}
    probe = run(["node", "-e", "require.resolve('mailpit-api')"], env=environment)
    if probe.returncode:
        pytest.skip("mailpit-api is not installed (MAILFRAME_NODE_MODULES names its directory)")
    done = run(["node", "-", inbox.web], input=JAVASCRIPT, env=environment)
    assert done.stdout.strip() == "fine", done.stderr


# ---- a helper as people write it in their test suites: nothing but urllib, and polling


class Mailbox:
    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
        return json.loads(text) if answer.headers["Content-Type"] == "application/json" else text

    def purge(self) -> None:
        self.ask("messages", "DELETE")

    def wait_for(self, recipient: str, subject: str, seconds: float = 10) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for summary in self.ask("messages?limit=100")["messages"]:
                addresses = [to["Address"] for to in summary["To"] + summary["Bcc"]]
                if recipient in addresses and subject in summary["Subject"]:
                    return self.ask(f"message/{summary['ID']}")
            time.sleep(0.1)
        raise AssertionError(f"no mail for {recipient}")


def test_a_polling_helper(inbox: MailframeInbox) -> None:
    mailbox = Mailbox(inbox.web + "/")
    mailbox.purge()
    send(inbox, letter("Reset your password"))
    send(inbox, letter("Other", "eve@x.test"))
    message = mailbox.wait_for("ann@x.test", "password")
    assert "482913" in message["Text"]
    assert "482913" in message["HTML"]
    assert mailbox.ask("messages")["unread"] == 1
    mailbox.purge()
    assert mailbox.ask("messages")["messages"] == []


# ---- curl and jq, as in shells


def test_shell_recipes(inbox: MailframeInbox) -> None:
    need("curl", "jq", "bash")
    send(inbox, letter("Order 12"))
    send(inbox, letter("Order 13", "eve@x.test"))
    script = r"""
set -euo pipefail
curl -sf "$URL/api/v1/messages" | jq -r '.messages[] | "\(.From.Address) \(.Subject)"'
curl -sf "$URL/api/v1/search?query=to:eve" | jq -r '.messages_count, .messages[0].ID' | tail -1 > id
curl -sf "$URL/api/v1/message/$(cat id)" | jq -r .Text
curl -sf "$URL/api/v1/message/$(cat id)/raw" | grep -c '^Subject: Order 13'
curl -sf "$URL/view/latest.html" | grep -c '<b>482913</b>'
curl -sf -X PUT "$URL/api/v1/messages" -d '{"Read": true}'; echo
curl -sf -G "$URL/api/v1/search" --data-urlencode 'query=subject:"order 12" is:read' |
  jq .messages_count
curl -sf -X DELETE "$URL/api/v1/messages" -d "{\"IDs\": [\"$(cat id)\"]}"; echo
curl -sf "$URL/api/v1/info" | jq .Messages
curl -sf -X DELETE "$URL/api/v1/search?query=order"; echo
curl -sf "$URL/api/v1/messages" | jq .total
curl -sf "$URL/livez" "$URL/readyz" > /dev/null
curl -s -o /dev/null -w '%{http_code}\n' -H 'Origin: http://evil.test' \
  -X DELETE "$URL/api/v1/messages"
"""
    environment = os.environ | {"URL": inbox.web}
    directory = inbox._directory
    assert directory is not None
    done = run(["bash", "-c", script], env=environment, cwd=directory.name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == [
        *("bob@there.test Order 13", "bob@there.test Order 12", "Your code is 482913", "", "1"),
        *("1", "ok", "1", "ok", "1", "ok", "0", "403", ""),
    ]


# ---- errors on demand, by real dialogues


def refusal(inbox: MailframeInbox, sender: str, to: str) -> int:
    """0: none; 1: the connection was lost."""
    try:
        with smtplib.SMTP(inbox.host, inbox.port, timeout=20) as client:
            client.sendmail(sender, [to], "Subject: x\r\n\r\nx\r\n")
    except smtplib.SMTPRecipientsRefused as error:
        return int(error.recipients[to][0])
    except smtplib.SMTPResponseException as error:
        return int(error.smtp_code)
    except (smtplib.SMTPServerDisconnected, ConnectionError):
        return 1
    return 0


def test_magic_addresses(inbox: MailframeInbox) -> None:
    me = "me@x.test"
    assert refusal(inbox, me, "550@x.test") == 550
    assert refusal(inbox, me, "ann+452@x.test") == 452
    assert refusal(inbox, me, "421@x.test") == 421
    assert refusal(inbox, me, "data-554@x.test") == 554
    assert refusal(inbox, "temperror@x.test", "ann@x.test") == 451
    assert refusal(inbox, me, "drop@x.test") == 1
    assert refusal(inbox, me, "data-drop@x.test") == 1
    assert inbox.messages() == []
    assert refusal(inbox, me, "delay1@x.test") == 0
    assert len(inbox.messages(to="delay1@x.test")) == 1
    assert "Traceback" not in inbox.log


def test_triggers_and_faults(inbox: MailframeInbox) -> None:
    mailbox = Mailbox(inbox.web)
    mailbox.ask("chaos", "PUT", {"Recipient": {"ErrorCode": 450, "Probability": 100}})
    assert refusal(inbox, "me@x.test", "ann@x.test") == 450
    mailbox.ask("chaos", "PUT", {})
    assert refusal(inbox, "me@x.test", "ann@x.test") == 0
    inbox.fail(recipient="*@x.test", code=452, times=2)
    answers = [refusal(inbox, "me@x.test", "ann@x.test") for _ in range(3)]
    assert answers == [452, 452, 0]
    inbox.fail(code=535, at="auth")
    with (
        smtplib.SMTP(inbox.host, inbox.port) as client,
        pytest.raises(smtplib.SMTPAuthenticationError),
    ):
        client.login("ann", "dev")
    inbox.clear()
    with smtplib.SMTP(inbox.host, inbox.port) as client:
        client.login("ann", "dev")
        client.send_message(letter("Logged in"))
    assert Mailbox(inbox.web).ask("message/latest")["Username"] == "ann@localhost"


def test_chaos_loses_nothing_that_was_accepted() -> None:
    with MailframeInbox("--chaos", "20,7") as inbox:
        outcomes = [refusal(inbox, "me@x.test", f"u{number}@x.test") for number in range(60)]
        accepted = {f"u{number}@x.test" for number, code in enumerate(outcomes) if code == 0}
        arrived = {to for message in inbox.messages() for to in message.to}
        assert accepted <= arrived
        assert {1, 451} <= set(outcomes)
        assert "Traceback" not in inbox.log


def test_release() -> None:
    with (
        MailframeInbox() as there,
        MailframeInbox("--release-to", f"{there.host}:{there.port}") as here,
    ):
        send(here, letter("Out"), "ann@x.test")
        id = here.wait(to="ann@x.test").id
        assert there.messages() == []
        answer = Mailbox(here.web).ask(f"message/{id}/release", "POST", {"To": ["eve@y.test"]})
        assert answer == "ok"
        released = there.wait(to="eve@y.test")
        assert released.sender == "bob@there.test"
        assert released.subject == "Out"
        assert "ann@x.test" not in str(released.message["Delivered-To"])
        there.fail(recipient="eve@y.test", code=550, text="no such user")
        with pytest.raises(urllib.error.HTTPError) as caught:
            Mailbox(here.web).ask(f"message/{id}/release", "POST", {"To": ["eve@y.test"]})
        assert caught.value.code == 400
        assert b"550 5.1.1 no such user" in caught.value.read()
