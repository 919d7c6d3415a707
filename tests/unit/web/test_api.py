"""The API that users of Mailpit know: routes, members, codes."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from mailframe.errors import MailframeError
from mailframe.web.faults import Faults
from mailframe.web.powers import Powers
from tests.unit.web.browser import ANN, EVE, NOW, Answer, Browser

LETTER = (
    b"From: =?utf-8?q?B=C3=B6b?= <bob@there.test>\r\nTo: Ann <Ann@here.test>\r\n"
    b"Cc: cc@there.test\r\nReply-To: replies@there.test\r\nSubject: Your order 12\r\n"
    b"Date: Fri, 15 Jan 2027 10:00:00 +0200\r\nMessage-ID: <m1@there.test>\r\nX-Tags: new, shop\r\n"
    b"List-Unsubscribe: <https://there.test/u?1>, <mailto:u@there.test>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n"
    b"--a\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"
    b"--c\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPlain w\xc3\xb6rds\r\n"
    b"--c\r\nContent-Type: text/html\r\n\r\n<p>HTML words</p>\r\n--c--\r\n"
    b'--b\r\nContent-Type: image/png; name="logo.png"\r\nContent-ID: <logo@x>\r\n'
    b"Content-Disposition: inline\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n--b--\r\n"
    b"--a\r\nContent-Type: application/pdf\r\n"
    b'Content-Disposition: attachment; filename="b.pdf"\r\n\r\n%PDF\r\n--a--\r\n'
)
SIMPLE = b"From: bob@there.test\r\nSubject: Hello\r\n\r\nHi\r\n"

SUMMARY = {
    *("ID", "MessageID", "Read", "From", "To", "Cc", "Bcc", "ReplyTo", "Subject", "Created"),
    *("Username", "Tags", "Size", "Attachments", "Snippet"),
}
MESSAGE = {
    *("ID", "MessageID", "Read", "From", "To", "Cc", "Bcc", "ReplyTo", "ReturnPath", "Subject"),
    *("ListUnsubscribe", "Date", "Tags", "Username", "Text", "HTML", "Size", "Inline"),
    "Attachments",
}


@pytest.fixture
def browser() -> Browser:
    return Browser(Powers(faults=Faults(lambda: 50)))


def test_a_list(browser: Browser) -> None:
    id = browser.send(LETTER, ANN, EVE)
    page = browser.get("/api/v1/messages").json
    (message,) = page.pop("messages")
    counts = ("total", "unread", "count", "messages_count", "messages_unread")
    assert page == dict.fromkeys(counts, 1) | {"start": 0, "tags": ["new", "shop"]}
    assert set(message) == SUMMARY
    assert message["ID"] == id
    assert message["MessageID"] == "m1@there.test"
    assert message["Read"] is False
    assert message["From"] == {"Name": "Böb", "Address": "bob@there.test"}
    assert message["To"] == [{"Name": "Ann", "Address": "Ann@here.test"}]
    assert message["Cc"] == [{"Name": "", "Address": "cc@there.test"}]
    assert message["Bcc"] == [{"Name": "", "Address": EVE}]
    assert message["ReplyTo"] == [{"Name": "", "Address": "replies@there.test"}]
    assert message["Subject"] == "Your order 12"
    assert message["Created"] == "2027-01-15T08:00:00.001Z"
    assert message["Tags"] == ["new", "shop"]
    assert message["Attachments"] == 1
    assert message["Snippet"] == "Plain wörds"
    assert message["Size"] == len(browser.get(f"/api/v1/message/{id}/raw").body)


def test_one_transaction_is_one_message(browser: Browser) -> None:
    browser.send(SIMPLE, ANN, EVE)
    browser.send(SIMPLE, ANN)
    page = browser.get("/api/v1/messages").json
    assert page["total"] == 2
    assert [len(each["Bcc"]) for each in page["messages"]] == [1, 2]


def test_a_message_is_whole_and_read_from_then_on(browser: Browser) -> None:
    id = browser.send(LETTER)
    message = browser.get(f"/api/v1/message/{id}").json
    assert set(message) == MESSAGE
    assert message["Date"] == "2027-01-15T10:00:00+02:00"
    assert message["Text"] == "Plain wörds"
    assert message["HTML"] == "<p>HTML words</p>"
    assert message["ReturnPath"] == "bob@there.test"
    assert message["ListUnsubscribe"]["Links"] == ["https://there.test/u?1", "mailto:u@there.test"]
    (inline,), (attachment,) = message["Inline"], message["Attachments"]
    assert (inline["PartID"], inline["FileName"], inline["ContentID"]) == (
        "1.2",
        "logo.png",
        "logo@x",
    )
    assert attachment == {
        "PartID": "2",
        "FileName": "b.pdf",
        "ContentType": "application/pdf",
        "ContentID": "",
        "Size": 4,
        "Checksums": {
            "MD5": "bfa4b10a76324b166cfdad5e02a63730",
            "SHA1": "39b6d73eff36493ba0674e48255a9d81724b4521",
            "SHA256": "315d429b7714cedb6ad04ac31240145257692630457f3c88253c5beceac76027",
        },
    }
    page = browser.get("/api/v1/messages").json
    assert page["unread"] == 0
    assert page["messages"][0]["Read"] is True


def test_text_is_made_of_html_where_there_is_no_other(browser: Browser) -> None:
    browser.send(b"Content-Type: text/html\r\n\r\n<p>Only</p><p>HTML &amp; more</p>")
    message = browser.get("/api/v1/message/latest").json
    assert message["Text"].split() == ["Only", "HTML", "&", "more"]
    assert message["Date"] == "2027-01-15T08:00:00.001Z"


def test_an_attached_message_is_one_part_to_its_last_octet(browser: Browser) -> None:
    inner = b"Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
    inner += b"--i\r\n\r\nwords\r\n--i--\r\nend"
    data = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
    data += b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nouter\r\n--b\r\n"
    data += b"Content-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\nepilogue\r\n"
    data += b"--a\r\nContent-Type: text/csv; name=a.csv\r\n\r\n1,2\r\n--a--\r\n"
    id = browser.send(data)
    message = browser.get(f"/api/v1/message/{id}").json
    assert message["Text"] == "outer"
    parts = [(part["PartID"], part["FileName"]) for part in message["Attachments"]]
    assert parts == [("1.2", "message.eml"), ("2", "a.csv")]
    assert browser.get(f"/api/v1/message/{id}/part/1.2").body == inner


def test_parts_have_their_declared_type_and_can_do_nothing(browser: Browser) -> None:
    id = browser.send(LETTER)
    answer = browser.get(f"/api/v1/message/{id}/part/1.2")
    assert answer.body == b"\x89PNG"
    assert answer.headers["content-type"] == "image/png"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_headers_are_named_as_go_names_them(browser: Browser) -> None:
    id = browser.send(LETTER)
    headers = browser.get(f"/api/v1/message/{id}/headers").json
    assert headers["Message-Id"] == ["<m1@there.test>"]
    assert headers["Mime-Version"] == ["1.0"]
    assert headers["Delivered-To"] == [ANN]
    assert list(headers) == sorted(headers)


def test_latest_and_the_latest_that_matches(browser: Browser) -> None:
    first, second = browser.send(LETTER), browser.send(SIMPLE)
    assert browser.get("/api/v1/message/latest").json["ID"] == second
    assert browser.get("/api/v1/message/latest?query=order").json["ID"] == first
    assert browser.get("/api/v1/message/latest?query=absent").code == 404


def test_pagination(browser: Browser) -> None:
    ids = [browser.send(SIMPLE) for _ in range(60)][::-1]
    assert [each["ID"] for each in browser.list()] == ids[:50]
    assert [each["ID"] for each in browser.list("?start=55&limit=100")] == ids[55:]
    assert [each["ID"] for each in browser.list("?limit=3")] == ids[:3]
    assert [each["ID"] for each in browser.list("?limit=0")] == ids
    assert browser.list("?start=100") == []
    for strange in ("start=-1", "limit=x", "limit=%00", "start=99999999999999999999"):
        assert len(browser.list(f"?{strange}")) == 50
    found = browser.get("/api/v1/search?query=hello&start=58").json
    assert (found["count"], found["messages_count"], found["start"]) == (2, 60, 58)


def test_searching_needs_a_query(browser: Browser) -> None:
    browser.send(SIMPLE)
    for query in ("", "?query=", "?query=%20"):
        assert browser.get(f"/api/v1/search{query}").code == 400
        assert browser.ask("DELETE", f"/api/v1/search{query}").code == 400
    assert len(browser.list()) == 1


def test_marking(browser: Browser) -> None:
    first, second = browser.send(SIMPLE), browser.send(LETTER)

    def unread() -> list[str]:
        return [each["ID"] for each in browser.list() if not each["Read"]]

    assert browser.ask("PUT", "/api/v1/messages", {"IDs": [first], "Read": True}).text == "ok"
    assert unread() == [second]
    browser.ask("PUT", "/api/v1/messages", {"Read": False})
    assert unread() == [second, first]
    browser.ask("PUT", "/api/v1/messages", {"Search": "subject:order", "Read": True})
    assert unread() == [first]
    both = {"Search": "x", "IDs": [first]}
    assert browser.ask("PUT", "/api/v1/messages", both).code == 400
    browser.ask("PUT", "/api/v1/messages", {"read": True})
    assert unread() == []


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"IDs": "x"}', b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_what_is_no_json_changes_nothing(browser: Browser, method: str, body: bytes) -> None:
    browser.send(SIMPLE)
    answer = Answer(browser.begin("/api/v1/messages", method=method, body=body).value())
    assert answer.code == 400
    assert len(browser.list()) == 1


def test_deleting(browser: Browser) -> None:
    first, second, third = (browser.send(SIMPLE, ANN, EVE) for _ in range(3))
    assert browser.ask("DELETE", "/api/v1/messages", {"IDs": [second, "nobody"]}).text == "ok"
    assert [each["ID"] for each in browser.list()] == [third, first]
    browser.send(LETTER)
    assert browser.ask("DELETE", "/api/v1/search?query=subject:order").code == 200
    assert [each["ID"] for each in browser.list()] == [third, first]
    assert browser.ask("DELETE", "/api/v1/messages").code == 200
    assert browser.list() == []
    assert not any(box.mail for box in browser.boxes.values())


def test_forms_count_as_json_does(browser: Browser) -> None:
    """A client in use sends them; Mailpit then deletes everything."""
    first, second = browser.send(SIMPLE), browser.send(SIMPLE)
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    body = f"ids={first}&Read=True".encode()
    Answer(browser.begin("/api/v1/messages", method="PUT", body=body, **form).value())
    assert [each["ID"] for each in browser.list() if each["Read"]] == [first]
    Answer(browser.begin("/api/v1/messages", method="DELETE", body=body, **form).value())
    assert [each["ID"] for each in browser.list()] == [second]
    Answer(browser.begin("/api/v1/messages", method="DELETE", body=b"", **form).value())
    assert browser.list() == []


def test_tags(browser: Browser) -> None:
    first = browser.send(LETTER)
    second = browser.send(SIMPLE.replace(b"Subject", b"To: ann+vip@here.test\r\nSubject"))
    assert browser.get("/api/v1/tags").json == ["new", "shop", "vip"]
    browser.ask("PUT", "/api/v1/tags", {"IDs": [first], "Tags": ["old", " "]})
    browser.ask("PUT", "/api/v1/tags/vip", {"Name": "guest"})
    assert browser.get("/api/v1/tags").json == ["guest", "old"]
    assert browser.get("/api/v1/search?query=tag:guest").json["messages"][0]["ID"] == second
    browser.ask("DELETE", "/api/v1/tags/old")
    assert browser.get("/api/v1/tags").json == ["guest"]
    assert browser.ask("PUT", "/api/v1/tags/guest", {}).code == 400
    assert browser.ask("PUT", "/api/v1/tags", {"IDs": [first], "Tags": [1]}).code == 400


def test_information(browser: Browser) -> None:
    browser.send(LETTER)
    info = browser.get("/api/v1/info").json
    assert (info["Messages"], info["Unread"], info["Tags"]) == (1, 1, {"new": 1, "shop": 1})
    assert info["RuntimeStats"]["SMTPAccepted"] == 1
    config = browser.get("/api/v1/webui").json
    assert config["ChaosEnabled"] is True
    assert config["MessageRelay"]["Enabled"] is False


def test_triggers(browser: Browser) -> None:
    default = {
        "Sender": {"ErrorCode": 451, "Probability": 0},
        "Recipient": {"ErrorCode": 451, "Probability": 0},
        "Authentication": {"ErrorCode": 535, "Probability": 0},
    }
    assert browser.get("/api/v1/chaos").json == default
    asked = {"Sender": {"ErrorCode": 550, "Probability": 100}, "Recipient": {"Probability": 5}}
    expected = default | {
        "Sender": asked["Sender"],
        "Recipient": {"ErrorCode": 451, "Probability": 5},
    }
    assert browser.ask("PUT", "/api/v1/chaos", asked).json == expected
    for wrong in (
        {"Sender": {"ErrorCode": 600, "Probability": 1}},
        {"Sender": {"ErrorCode": 550, "Probability": 101}},
        {"Sender": {"ErrorCode": "550"}},
        {"Recipient": [1]},
    ):
        assert browser.ask("PUT", "/api/v1/chaos", wrong).code == 400
        assert browser.get("/api/v1/chaos").json == expected
    assert browser.ask("PUT", "/api/v1/chaos", {}).json == default
    assert Browser().get("/api/v1/chaos").code == 400


def test_faults(browser: Browser) -> None:
    asked = {"Stage": "data", "Address": "*@x.test", "Code": 452, "Text": "full", "Times": 2}
    assert browser.ask("POST", "/api/faults", asked).json == asked
    assert browser.get("/api/faults").json == [asked]
    for wrong in ({"Stage": "x"}, {"Code": 200}, {"Text": "a\r\nb"}, {"Text": "ö"}, {"Times": -1}):
        assert browser.ask("POST", "/api/faults", wrong).code == 400
    assert browser.ask("DELETE", "/api/faults").text == "ok"
    assert browser.get("/api/faults").json == []


class House:
    """Takes what is sent by HTTP."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, tuple[str, ...], bytes]] = []
        self.browser: Browser
        self.broken = False

    async def __call__(self, sender: str, recipients: tuple[str, ...], content: bytes) -> str:
        if self.broken:
            raise MailframeError("no room")
        self.taken.append((sender, recipients, content))
        return self.browser.send(content, *recipients, sender=sender)


def sending() -> tuple[House, Browser]:
    house = House()
    browser = house.browser = Browser(Powers(send=house))
    return house, browser


def test_sending() -> None:
    house, browser = sending()
    given = {
        "From": {"Name": "Bob, Ünicode", "Email": "bob@there.test"},
        "To": [{"Email": ANN, "Name": "Ann"}],
        "Bcc": [EVE],
        "ReplyTo": [{"Email": "r@there.test"}],
        "Subject": "Café",
        "Text": "text ö",
        "HTML": '<img src="cid:logo">',
        "Tags": ["a", "b"],
        "Headers": {"X-IP": "1.2.3.4"},
        "Attachments": [
            {
                "Content": "data:text/plain;base64,aGk=",
                "Filename": "a.txt",
                "ContentType": "text/x",
            },
            {
                "Content": "aGk=",
                "Filename": "l.png",
                "ContentType": "image/png",
                "ContentID": "logo",
            },
        ],
    }
    id = browser.ask("POST", "/api/v1/send", given).json["ID"]
    ((sender, recipients, content),) = house.taken
    assert (sender, recipients) == ("bob@there.test", (ANN, EVE))
    assert EVE.encode() not in content
    message = browser.get(f"/api/v1/message/{id}").json
    assert message["From"] == {"Name": "Bob, Ünicode", "Address": "bob@there.test"}
    assert message["Subject"] == "Café"
    assert message["Text"].strip() == "text ö"
    assert message["Bcc"] == [{"Name": "", "Address": EVE}]
    assert message["Tags"] == ["a", "b"]
    assert [part["ContentID"] for part in message["Inline"]] == ["logo"]
    assert [part["FileName"] for part in message["Attachments"]] == ["a.txt"]
    assert browser.get(f"/api/v1/message/{id}/headers").json["X-Ip"] == ["1.2.3.4"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"From": None},
        {"From": {"Email": "nobody"}},
        {"From": {"Email": "a@b.test\r\nX: y"}},
        {"To": []},
        {"To": "x"},
        {"To": [{"Email": "a b@c.test"}]},
        {"Bcc": [1]},
        {"Subject": 1},
        {"Subject": "a\nX: y"},
        {"Headers": {"Bcc": "x@y.test"}},
        {"Headers": {"X-A": "b\r\nBcc: x@y.test"}},
        {"Headers": {"X A": "b"}},
        {"Headers": []},
        {"Attachments": [{"Content": "%%%"}]},
        {"Attachments": [1]},
        {"To": [{"Email": f"a{n}@b.test"} for n in range(1001)]},
    ],
    ids=str,
)
def test_what_makes_no_message_is_refused(wrong: dict[str, object]) -> None:
    house, browser = sending()
    given = {"From": {"Email": "bob@there.test"}, "To": [{"Email": ANN}], "Subject": "x"} | wrong
    answer = browser.ask("POST", "/api/v1/send", given)
    assert answer.code == 400, answer.text
    assert answer.json["Error"]
    assert house.taken == []


def test_sending_where_it_cannot_be() -> None:
    house, browser = sending()
    house.broken = True
    given = {"From": {"Email": "bob@there.test"}, "To": [{"Email": ANN}]}
    assert browser.ask("POST", "/api/v1/send", given).json == {"Error": "no room"}
    assert Browser().ask("POST", "/api/v1/send", given).code == 400
    body = json.dumps(given).encode()[:-1]
    assert Answer(browser.begin("/api/v1/send", method="POST", body=body).value()).code == 400


def test_releasing() -> None:
    taken: list[tuple[str, list[str]]] = []

    async def release(sender: str, recipients: list[str], content: bytes) -> str:
        taken.append((sender, recipients))
        return "250 Ok"

    browser = Browser(Powers(release=release, release_to="mx.test:25"))  # type: ignore[arg-type]
    id = browser.send(LETTER, sender="")
    path = f"/api/v1/message/{id}/release"
    assert browser.ask("POST", path, {"To": ["x@y.test"]}).text == "ok"
    assert taken == [("bob@there.test", ["x@y.test"])]
    for wrong in ({}, {"To": []}, {"To": "x@y.test"}, {"To": [1]}):
        assert browser.ask("POST", path, wrong).code == 400
    assert browser.ask("POST", "/api/v1/message/x/release", {"To": ["x@y.test"]}).code == 404
    assert Browser().ask("POST", path, {"To": ["x@y.test"]}).code == 404
    assert browser.get("/api/v1/webui").json["MessageRelay"]["SMTPServer"] == "mx.test:25"


def test_dates_of_searches_are_in_the_zone_that_is_said(browser: Browser) -> None:
    assert NOW == 1_800_000_000  # 2027-01-15 08:00 UTC, 10:00 in Athens
    browser.send(SIMPLE)

    def found(query: str, zone: str = "") -> int:
        path = f"/api/v1/search?query={quote(query)}&tz={quote(zone)}"
        return int(browser.get(path).json["messages_count"])

    assert found('after:"2027-01-15 07:59"') == 1
    assert found('after:"2027-01-15 09:00"') == 0
    assert found('after:"2027-01-15 09:00"', "Europe/Athens") == 1
    assert found('after:"2027-01-15 09:00"', "No/Where") == 0
    assert found('after:"2027-01-15 09:00"', "../../etc/passwd") == 0
