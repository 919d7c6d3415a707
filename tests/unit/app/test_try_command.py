"""``mailframe try``: what an application says to one message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mailframe.app.commands.try_ import try_

SHOP = """
from mailframe import App, Quarantine, Reject

app = App()
called = []

@app.deliver("orders+{number:int}@shop.test")
async def order(msg, number):
    called.append(number)
    await msg.reply("Thank you\\nvery much", attachments=[("invoice.txt", b"7 EUR")])

@app.recipient("{user}@people.test")
def lookup(user):
    return user == "ann"

@app.policy("recipient")
def closed(address):
    if address.local_part == "closed":
        raise Reject(550, "5.2.1", "Closed")

@app.policy("message")
def judge(msg):
    if "junk" in msg.subject:
        return Quarantine("by its subject")
    if "broken" in msg.subject:
        raise ValueError("a mistake")

@app.filter
def points(msg):
    return msg.score("LONG", 1.5, "long") if len(msg.text) > 20 else None
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"shop_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"{name}:app"


def tried(app: str, to: str, *more: str, subject: str = "hello", text: str = "Hi\n") -> Result:
    message = f"From: bob@example.com\nSubject: {subject}\n\n{text}".encode()
    arguments = [app, "--from", "bob@example.com", "--to", to, *more]
    return CliRunner().invoke(try_, arguments, input=message)


def objects(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_verdict_is_shown(shop: str) -> None:
    result = tried(shop, "orders+7@shop.test", "--json", text="a rather long text, indeed\n")
    assert result.exit_code == 0, result.output
    *seen, last = objects(result)
    hooks = {one["by"]: one["answer"] for one in seen if one["milliseconds"] is not None}
    app = shop.partition(":")[0]
    assert hooks == {
        f"{app}.closed": "nothing to object",
        f"{app}.points": "LONG +1.5 long",
        f"{app}.judge": "nothing to object",
    }
    assert {one["by"] for one in seen if one["stage"] == "check"} > {"spf", "dkim", "content"}
    assert (last["code"], last["stage"]) == (250, "message")


def test_without_deliver_nothing_is_delivered(shop: str) -> None:
    result = tried(shop, "orders+7@shop.test", "--to", "orders+8@shop.test")
    lines = [line.split("  (")[0] for line in result.output.splitlines() if "order" in line]
    app = shop.partition(":")[0]
    assert [" ".join(line.split()) for line in lines] == [
        f"deliver {app}.order not asked (--deliver asks it)"
    ]
    assert "deferred" not in result.output
    assert __import__(shop.partition(":")[0]).called == []


def test_with_deliver_what_would_happen_is_told(shop: str) -> None:
    result = tried(shop, "orders+7@shop.test", "--deliver")
    assert (
        "would go to bob@example.com from <>: Re: hello\n"
        "  | Thank you\n  | very much\n  attached: invoice.txt\n"
    ) in result.output
    assert __import__(shop.partition(":")[0]).called == [7]
    *_, last = objects(tried(shop, "orders+7@shop.test", "--deliver", "--json"))
    (sent,) = last["sent"]  # type: ignore[misc]
    assert (sent["text"], sent["attachments"]) == ("Thank you\nvery much\n", ["invoice.txt"])
    filed = tried(shop, "ann@people.test", "--deliver", subject="junk")
    assert "would lie in Junk of ann@people.test: junk" in filed.output


@pytest.mark.parametrize(
    ("to", "subject", "reply"),
    [
        ("closed@people.test", "hello", "550 5.1.1"),
        ("zoe@people.test", "hello", "550 5.1.1"),
        ("orders+x@shop.test", "hello", "550 5.1.1"),
        ("orders+7@shop.test", "broken", "451 4.3.0"),
    ],
)
def test_a_refusal_has_exit_status_1(shop: str, to: str, subject: str, reply: str) -> None:
    result = tried(shop, to, subject=subject)
    assert result.exit_code == 1
    assert reply in result.stdout


def test_the_dns_is_what_the_command_line_says(shop: str) -> None:
    record = "example.com=v=spf1 -all"
    result = tried(shop, "orders+7@shop.test", "--dns", record, "--json")
    spf = [one["answer"] for one in objects(result)[:-1] if one["by"] == "spf"]
    assert str(spf).startswith("['fail") or objects(result)[-1]["code"] == 550


def test_what_cannot_be_tried(shop: str, tmp_path: Path) -> None:
    arguments = [shop, "--from", "a@b.test", "--to", "c@d.test"]
    empty = CliRunner().invoke(try_, arguments, input=b"")
    assert "no message" in str(empty.exception)
    missing = CliRunner().invoke(try_, ["nowhere:app", *arguments[1:]], input=b"x: y\n\n")
    assert "nowhere" in str(missing.exception)


@pytest.mark.parametrize(
    ("option", "value"), [("--helo", "a\r\nQUIT"), ("--ip", "999.1.1.1"), ("--to", "a@b.test>\r\n")]
)
def test_what_is_no_argument_of_a_command(shop: str, option: str, value: str) -> None:
    result = tried(shop, "orders+7@shop.test", option, value)
    assert result.exit_code == 2, result.output


def test_half_a_character_is_still_json(shop: str) -> None:
    (name, _) = shop.split(":")
    file = Path(f"{name}.py")
    file.write_text(file.read_text().replace('"a mistake"', '"half \\ud800"'))
    result = tried(shop, "orders+7@shop.test", "--json", subject="broken")
    assert result.stdout_bytes.decode("utf-8")
    assert objects(result)[-1]["errors"] == ["ValueError: half \ud800"]


def test_settings_of_a_file_hold(shop: str, tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_text(
        'hostname = "mail.example.org"\n[limits]\nmessage_size = 100\n'
    )
    result = tried(shop, "orders+7@shop.test", "--settings", "strict.toml", text="x\n" * 200)
    assert result.exit_code == 1
    assert "552 " in result.stdout
