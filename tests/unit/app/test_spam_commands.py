from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
HEADER = (
    "Received: from a by b; Thu, 28 May 2026 20:26:40 +0000\nFrom: a@example.org\n"
    "To: b@here.test\nDate: Thu, 28 May 2026 20:26:40 +0000\nMessage-ID: <{id}@example.org>\n"
)


def message(number: int, words: str) -> str:
    return f"{HEADER.format(id=number)}Subject: {words}\n\n{words} and number {number}\n"


def mbox(path: Path, words: str, first: int) -> str:
    lines = (
        f"From a@example.org Thu May 28 20:26:40 2026\n{message(first + n, words)}\n"
        for n in range(25)
    )
    path.write_text("".join(lines))
    return str(path)


@pytest.fixture
def ham(tmp_path: Path) -> str:
    return mbox(tmp_path / "ham.mbox", "the minutes of our meeting about harbours", 100)


@pytest.fixture
def spam(tmp_path: Path) -> str:
    return mbox(tmp_path / "spam.mbox", "cheap watches and pills without prescription", 200)


@pytest.fixture
def letter(tmp_path: Path) -> Any:
    def letter(words: str, number: int = 7_000) -> str:
        path = tmp_path / f"{number}.eml"
        path.write_text(message(number, words))
        return str(path)

    return letter


@pytest.fixture
def ann(run: Any) -> str:
    run("domain", "add", "here.test")
    run("user", "add", "ann@here.test", "--generate")
    return "ann@here.test"


def stats(run: Any) -> dict[str, tuple[int, int]]:
    lines = run("spam", "stats", "--json").out.splitlines()
    found = [json.loads(line) for line in lines]
    return {each["scope"]: (each["ham"], each["spam"]) for each in found}


def test_taught_it_tells_apart(run: Any, ham: str, spam: str, letter: Any) -> None:
    assert run("spam", "learn", "--ham", ham).out == "learnt 25 messages as ham for the server\n"
    assert run("spam", "learn", "--spam", spam).status == 0
    assert stats(run) == {"server": (25, 25)}
    bad = run("spam", "test", letter("cheap pills and watches"))
    assert (bad.status, bad.out[:4]) == (1, "spam"), bad
    good = run("spam", "test", letter("our meeting about harbours"))
    assert (good.status, good.out[:4]) == (0, "ham "), good


def test_untrained_it_calls_nothing_spam_but_what_says_so(run: Any, letter: Any) -> None:
    assert run("spam", "test", letter("cheap pills")).out == "ham   0.0/5.0 bayes 0.50\n"
    tested = run("spam", "test", letter(GTUBE))
    assert (tested.status, "GTUBE +100.0" in tested.out) == (1, True)


def test_learning_again_teaches_nothing_new(run: Any, ham: str) -> None:
    run("spam", "learn", "--ham", ham)
    assert "0 messages as ham for the server, 25 were learnt before" in (
        run("spam", "learn", "--ham", ham).out
    )
    run("spam", "learn", "--spam", ham)
    assert stats(run) == {"server": (0, 25)}


def test_directories_and_maildirs(run: Any, tmp_path: Path, letter: Any) -> None:
    for name in ("cur", "new", "tmp", ".Junk/cur", ".Junk/new", ".Junk/tmp"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
    (tmp_path / "Maildir/cur/1.x:2,S").write_text(message(1, "one"))
    (tmp_path / "Maildir/new/2.x").write_text(message(2, "two"))
    (tmp_path / "Maildir/.Junk/cur/3.x:2,").write_text(message(3, "three"))
    assert "learnt 2 messages" in run("spam", "learn", "--ham", str(tmp_path / "Maildir")).out
    junk = str(tmp_path / "Maildir" / ".Junk")
    assert "learnt 1 message as" in run("spam", "learn", "--spam", junk).out
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "0001.abcd").write_text("From x@y Thu May 28 20:26:40 2026\n" + GTUBE)
    (tmp_path / "plain" / "0002.abcd").write_text(message(5, "five"))
    (tmp_path / "plain" / "cmds").write_text("no message\n")
    learnt = run("spam", "learn", "--spam", str(tmp_path / "plain"))
    assert "learnt 2 messages" in learnt.out
    assert "cmds: no message" in learnt.err


def test_the_training_of_one_account(run: Any, ann: str, ham: str, spam: str, letter: Any) -> None:
    assert run("spam", "learn", "--ham", "-u", "Ann@HERE.test", ham).status == 0
    run("spam", "learn", "--spam", "-u", ann, spam)
    assert stats(run) == {ann: (25, 25), "@here.test": (25, 25)}
    pills = letter("cheap pills and watches")
    assert run("spam", "test", pills).status == 0
    assert run("spam", "test", "-u", ann, pills).status == 1
    assert run("spam", "test", "--domain", "here.test", pills).status == 1
    run("domain", "set", "here.test", "junk", "90")
    assert "/90.0 " in run("spam", "test", "-u", ann, pills).out


def test_explaining(run: Any, ham: str, spam: str, letter: Any) -> None:
    nothing = run("spam", "explain", letter("x"))
    assert "too little was learnt for the server" in nothing.out
    run("spam", "learn", "--ham", ham)
    run("spam", "learn", "--spam", spam)
    pills = letter("CHEAP PILLS AND WATCHES")
    told = run("spam", "explain", pills).out
    assert "by server (25 ham, 25 spam)" in told
    assert "0 ham, 25 spam" in told
    assert "rule SHOUTING +0.5" in told
    found = json.loads(run("spam", "explain", "--json", "--most", "3", pills).out)
    assert found["spam"] is True
    assert len(found["features"]) == 3
    assert found["rules"] == [{"name": "SHOUTING", "points": 0.5, "detail": ""}]
    assert found["bayes"]["points"] + 0.5 == pytest.approx(found["score"])


def test_forgetting(run: Any, ann: str, letter: Any) -> None:
    one = letter("one")
    missing = run("spam", "forget", one)
    assert (missing.status, "was not learnt" in missing.err) == (1, True)
    run("spam", "learn", "--spam", one)
    assert run("spam", "forget", "-u", ann, one).status == 1
    assert run("spam", "forget", one).out == "forgotten for the server\n"
    assert stats(run) == {"server": (0, 0)}


def test_rolling_back(run: Any, ann: str, ham: str, spam: str, monkeypatch: Any) -> None:
    now = [1_780_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    run("spam", "learn", "--ham", ham)
    now[0] += 7_200
    run("spam", "learn", "--spam", spam)
    run("spam", "learn", "--spam", ham)
    assert stats(run) == {"server": (0, 50)}
    assert run("spam", "rollback", "--since", "1h").out == "undone 50 trainings of server\n"
    assert stats(run) == {"server": (25, 0)}
    assert run("spam", "rollback", "--since", "1h", "-u", ann).out.startswith("undone 0")
    assert run("spam", "rollback", "--since", "2026-01-01T00:00Z").status == 0
    assert stats(run) == {"server": (0, 0)}


def test_the_log(run: Any, ann: str, letter: Any) -> None:
    run("spam", "learn", "--spam", "-u", ann, letter("one"))
    run("spam", "learn", "--ham", "-u", ann, letter("one"))
    lines = [json.loads(line) for line in run("spam", "log", "-u", ann, "--json").out.splitlines()]
    assert [(each["as"], each["by"], each["in_force"]) for each in lines] == [
        ("ham", ann, True),
        ("spam", ann, False),
    ]
    assert "superseded" in run("spam", "log").out
    assert len(run("spam", "log", "-n", "1", "--json").out.splitlines()) == 1
    assert run("spam", "log", "--site", "--json").out == ""


def test_the_rules(run: Any, config_path: Path) -> None:
    lines = [json.loads(line) for line in run("spam", "rules", "--json").out.splitlines()]
    points = {each["name"]: each["points"] for each in lines}
    assert (points["BAYES"], points["GTUBE"], points["NO_DATE"]) == (5.0, 100.0, 1.0)
    config_path.write_text(
        config_path.read_text()
        + f'\n[policy.content]\nrules = ["{__name__}:message"]\n'
        + "[policy.content.weights]\nNO_DATE = 3\nDKIM_FAIL = 2.5\n"
    )
    ran = run("spam", "rules")
    assert ran.status == 0, ran
    told = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert "NO_DATE 3.0 changed no Date" in told
    assert f"MESSAGE own your own: {__name__}:message" in told
    assert any(line.startswith("DKIM_FAIL 2.5 changed") for line in told)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["learn", "{file}"], 64),
        (["learn", "--ham"], 64),
        (["learn", "--ham", "/does/not/exist"], 66),
        (["learn", "--ham", "{empty}"], 65),
        (["test", "/does/not/exist"], 66),
        (["test", "{empty}"], 65),
        (["test", "{directory}"], 66),
        (["learn", "--ham", "{directory}"], 65),
        (["test", "-u", "nobody@here.test", "{file}"], 67),
        (["test", "-u", "../../etc@here.test", "{file}"], 67),
        (["test", "--domain", "nowhere.test", "{file}"], 65),
        (["test", "--site", "--domain", "here.test", "{file}"], 64),
        (["rollback", "--since", "yesterday"], 64),
        (["rollback"], 64),
    ],
)
def test_what_cannot_be_done(
    run: Any, ann: str, tmp_path: Path, letter: Any, arguments: list[str], status: int
) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "directory").mkdir()
    places = {
        "{file}": letter("x"),
        "{empty}": str(tmp_path / "empty"),
        "{directory}": str(tmp_path / "directory"),
    }
    ran = run("spam", *(places.get(each, each) for each in arguments))
    assert ran.status == status, ran
    assert ran.out == ""
    assert "Traceback" not in ran.err


def lunch(view: Any) -> float | None:
    if view.session is not None:
        return None
    return 7.5 if view.subject == "lunch" else 1 / 0


def test_own_rules_count_in_a_test_too(run: Any, config_path: Path, letter: Any) -> None:
    rules = f'\n[policy.content]\nrules = ["{__name__}:lunch"]\n'
    config_path.write_text(config_path.read_text() + rules)
    assert run("spam", "test", letter("lunch")).out == "spam  7.5/5.0 bayes 0.50, LUNCH +7.5\n"
    other = run("spam", "test", letter("dinner"))
    assert (other.status, "the rule LUNCH failed: ZeroDivisionError" in other.err) == (0, True)
    config_path.write_text(config_path.read_text().replace(":lunch", ":absent"))
    assert run("spam", "test", letter("lunch")).status == 78


def test_from_stdin(run: Any) -> None:
    assert run("spam", "test", "-", stdin=message(1, GTUBE)).status == 1
    assert run("spam", "test", "-", stdin="").status == 65


def test_what_a_message_says_does_not_reach_the_terminal(run: Any, letter: Any) -> None:
    odd = letter("x\x1b[31m")
    run("spam", "learn", "--spam", odd)
    run("spam", "learn", "--ham", letter("other", 7_001))
    for command in ("test", "explain"):
        assert "\x1b" not in run("spam", command, odd).out


def test_a_damaged_file_is_said_to_be_one(run: Any, config_path: Path, letter: Any) -> None:
    state = config_path.parent / "state"
    state.mkdir()
    (state / "spam.db").write_bytes(b"no database" * 500)
    ran = run("spam", "stats")
    assert (ran.status, "Traceback" in ran.err) == (74, False), ran
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(state / "spam.db").execute("SELECT * FROM scopes")
