"""The filter with its threads, several processes on one file, and a teacher that is killed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from mailframe.spam.features import Features
from mailframe.spam.model import Model

ROOT = Path(__file__).resolve().parents[2]

# Teaches without end, and says how far it is.
TEACHER = """
import sys
from tests.unit.spam.spam_world import Filtering, ham, now, spam
place = Filtering(sys.argv[1], max_trainings=int(sys.argv[3]))
number = int(sys.argv[2])
while True:
    place.clock.advance(1.0)
    mail = spam(number) if number % 2 else ham(number)
    place.learn(mail, "ann@example.org", bool(number % 2))
    if number % 7 == 0:
        now(place.filter.judge(mail, "ann@example.org"))
    if number % 10 == 0:
        now(place.filter.forget(spam(number - 3), "ann@example.org"))
    print(number, flush=True)
    number += 1
"""

# As the server runs it: a reactor that must never wait, threads, and a writer.
SERVER = """
import json, sys, time
from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.database import Database
from mailframe.runtime.workers import Workers
from mailframe.spam.filter import LearningFilter
from mailframe.spam.schema import MIGRATIONS
from tests.unit.spam.spam_world import ham, spam

file = Database(sys.argv[1], MIGRATIONS, reactor)
file.open()
workers = Workers("content", 2, 1000, reactor)
workers.start()
filter = LearningFilter(file, workers, reactor, share=lambda domain: "domain")
gaps, judged = [], []
last = time.perf_counter()

def beat():
    global last
    now = time.perf_counter()
    gaps.append(now - last)
    last = now

async def judge(mail, account):
    opinion = await filter.judge(mail, account, 5)
    judged.append(opinion.probability)

async def work():
    LoopingCall(beat).start(0.005)
    end = time.monotonic() + float(sys.argv[2])
    number = 0
    while time.monotonic() < end:
        number += 1
        tasks = [as_deferred(judge(spam(number * 8 + n), "ann@example.org")) for n in range(4)]
        lesson = ham(100_000 + number)
        tasks.append(as_deferred(filter.learn(lesson, "eve@example.net", False, "test")))
        for task in tasks:
            await task
    for _ in range(50):
        digest = await filter.digest("ann@example.org")
    await filter.stop()
    print(json.dumps({"judged": len(judged), "worst": max(gaps), "digest": digest}))

def done(result):
    print(result, file=sys.stderr) if result is not None else None
    workers.stop()
    file.close()
    reactor.stop()

reactor.callWhenRunning(lambda: as_deferred(work()).addBoth(done))
reactor.run()
"""


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lines(process: subprocess.Popen[str], count: int) -> str:
    assert process.stdout is not None
    line = ""
    for _ in range(count):
        line = process.stdout.readline()
    assert line, process.stderr.read() if process.stderr else ""
    return line


def learnt_of_log(path: str, scope: str) -> str:
    """What a model must be that has learnt base and log, by nothing but the rows."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (id_,) = connection.execute("SELECT id FROM scopes WHERE name = ?", (scope,)).fetchone()
        base = connection.execute(
            "SELECT model, upto FROM snapshots WHERE scope = ? AND is_base", (id_,)
        ).fetchone()
        rows = connection.execute(
            "SELECT features, is_spam FROM trainings WHERE scope = ? AND ended IS NULL"
            " AND is_spam IS NOT NULL AND id > ? ORDER BY id",
            (id_, base[1] if base else 0),
        ).fetchall()
    model = Model.load(base[0]) if base else Model(max_bits=18)
    for features, is_spam in rows:
        model.learn(Features.unpack(features), bool(is_spam))
    return hashlib.blake2b(model.dump(), digest_size=16).hexdigest()


def digest(path: str, **settings: Any) -> str:
    from tests.unit.spam.spam_world import Filtering

    place = Filtering(path, **settings)
    try:
        return place.digest("ann@example.org")
    finally:
        place.close()


def test_a_teacher_that_is_killed_leaves_the_log_whole(tmp_path: Path) -> None:
    path = str(tmp_path / "spam.db")
    number = 0
    for turn in range(6):
        process = run(TEACHER, path, number, 40)
        number = int(wait_for_lines(process, 20 + 7 * turn)) + 1
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert digest(path, max_trainings=40) == learnt_of_log(path, "ann@example.org")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows, counted = connection.execute(
            "SELECT (SELECT count(*) FROM trainings WHERE scope = scopes.id), rows FROM scopes"
            " WHERE name = 'ann@example.org'"
        ).fetchone()
    assert rows == counted <= 41


def test_a_server_with_threads_beside_a_command(tmp_path: Path) -> None:
    path = str(tmp_path / "spam.db")
    teacher = run(TEACHER, path, 0, 60)
    wait_for_lines(teacher, 30)
    server = run(SERVER, path, 4)
    time.sleep(5.0)
    teacher.send_signal(signal.SIGKILL)
    teacher.communicate()
    out, errors = server.communicate(timeout=60)
    assert (server.returncode, errors) == (0, "")
    said = json.loads(out)
    assert said["judged"] > 50
    assert said["worst"] < 0.5  # of a machine that does much else; alone it is some 10 ms
    assert len(said["digest"]) == 32
