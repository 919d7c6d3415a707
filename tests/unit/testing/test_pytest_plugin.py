"""The fixtures, used by a test-suite of somebody else's; and what they cost who uses none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

APP = """
from mailframe import App, Reject

app = App()

@app.deliver("orders+{number:int}@shop.test")
async def order(msg, number):
    if not msg.auth.dmarc:
        raise Reject(550, "5.7.26", "orders must be authenticated")
    await msg.reply(f"Order {number} has arrived.")

@app.schedule("every 1h")
async def hourly():
    await app.send(to="boss@far.test", from_="shop@shop.test", subject="An hour", text="over")
"""

TESTS = """
def test_order(mailframe_app, outbox):
    mail = mailframe_app("shop:app", dns={"_dmarc.example.com": ["v=DMARC1; p=reject"]})
    answer = mail.send(
        "bob@example.com", "orders+42@shop.test", "hello", ip="203.0.113.9", dkim="example.com"
    )
    assert answer.code == 250
    mail.run_deliveries()
    assert outbox[0].to == ["bob@example.com"] and "42" in outbox[0].text

def test_refused(mailframe_app, outbox):
    mail = mailframe_app("shop:app")
    assert mail.send("bob@example.com", "orders+42@shop.test", "hello").code == 250
    mail.run_deliveries()
    assert "orders must be authenticated" in outbox[0].raw.decode()  # a bounce
    assert outbox[0].sender == ""

def test_clock(mailframe_app, clock, outbox):
    mailframe_app("shop:app")
    clock.advance(2 * 3600 + 60)
    assert [message.subject for message in outbox] == ["An hour", "An hour"]

def test_dns_and_hosts(mailframe_app, fake_dns, remote_mx, clock):
    host = remote_mx("slow.test", ["421 busy", 250])
    mail = mailframe_app("shop:app", users={"ann@shop.test": "secret"})
    fake_dns["far.test"] = "NXDOMAIN"
    mail.send("ann@shop.test", ["x@slow.test", "y@far.test"], "out", login="ann@shop.test")
    mail.run_deliveries()
    clock.advance(3600)
    assert [message.to for message in host.messages] == [["x@slow.test"]]
    assert "y@far.test" in mail.inbox("ann@shop.test")[0].raw.decode()

from mailframe.testing import MailframeTestCase

class OrderTest(MailframeTestCase):
    def test_order(self):
        mail = self.mailframe_app("shop:app")
        answer = mail.send("b@far.test", "orders+1@shop.test", "x", dkim="far.test")
        self.assertEqual(answer.code, 250)
        self.fake_dns["_dmarc.far.test"] = "v=DMARC1; p=none"
        mail.run_deliveries()
        self.assertEqual(len(self.outbox), 1)
"""


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_somebody_elses_tests(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "test_shop.py").write_text(TESTS)
    done = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert "5 passed" in done.stdout, done.stdout + done.stderr


def test_the_same_case_under_trial(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    case = TESTS.partition("from mailframe.testing import")
    (tmp_path / "test_case.py").write_text(case[1] + case[2])
    done = run(tmp_path, "-m", "twisted.trial", "test_case")
    assert "PASSED" in done.stdout, done.stdout + done.stderr


def test_a_mistake_of_a_hook_fails_the_test(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from mailframe import App\n"
        "app = App()\n"
        "@app.policy('message')\n"
        "def broken(msg):\n"
        "    raise ValueError('a mistake of mine')\n"
        "def test_it(mailframe_app):\n"
        "    mail = mailframe_app(app, users={'ann@here.test': 'x'})\n"
        "    assert mail.send('a@b.test', 'ann@here.test', 'x').code == 451\n"
    )
    done = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert "a mistake of mine" in done.stdout
    assert done.returncode == 1


def test_it_imports_nothing_before_it_is_used() -> None:
    code = (
        "import sys; before = set(sys.modules); import mailframe.testing.pytest_plugin;"
        "print([m for m in set(sys.modules) - before if m.startswith(('twisted', 'zope'))],"
        " sorted(m for m in sys.modules if m.startswith('mailframe')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import pytest;" + code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == (
        "[] ['mailframe', 'mailframe.testing', 'mailframe.testing.pytest_plugin']"
    )
