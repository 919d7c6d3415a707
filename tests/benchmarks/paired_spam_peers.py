"""The filters that are compared: ours, bogofilter, SpamAssassin's Bayes, rspamd's Bayes.

Each learns and judges one message at a time, with nothing but its statistics: no rules, no
network, no learning on its own. Peers run as processes of this benchmark, on loopback or
without any network, with a directory of their own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from mailframe.spam.features import features_of
from mailframe.spam.model import Model
from tests.interop.peers.process import free_ports


class Unavailable(Exception):
    """The peer is not installed here; says what is missing."""


class Filter(ABC):
    name: str
    lost_from: float
    """The number from which the filter's own defaults call a message spam."""

    @abstractmethod
    def score(self, message: bytes) -> float:
        """From 0, ham, to 1, spam; 0.5 for no opinion."""

    @abstractmethod
    def learn(self, message: bytes, is_spam: bool) -> None: ...


class Ours(Filter):
    name = "mailframe"
    lost_from = 0.9

    def __init__(self) -> None:
        self._model = Model()

    def score(self, message: bytes) -> float:
        return self._model.probability(features_of(message))

    def learn(self, message: bytes, is_spam: bool) -> None:
        self._model.learn(features_of(message), is_spam)


class Bogofilter(Filter):
    """A process for each message, as it is used. Its database is in ``directory``."""

    name = "bogofilter"
    lost_from = 0.99

    def __init__(self, directory: Path) -> None:
        _need("bogofilter")
        self._command = ["bogofilter", "-d", str(directory)]
        self._trained = False

    def score(self, message: bytes) -> float:
        if not self._trained:
            return 0.5
        done = subprocess.run(
            [*self._command, "-T"], input=_lines(message), capture_output=True, check=False
        )
        return float(done.stdout.split()[1])

    def learn(self, message: bytes, is_spam: bool) -> None:
        option = "-s" if is_spam else "-n"
        subprocess.run([*self._command, option], input=_lines(message), check=True)
        self._trained = True


_SPAMASSASSIN = r"""
use strict; use warnings; use Mail::SpamAssassin;
my $dir = $ARGV[0];
my $sa = Mail::SpamAssassin->new({
    dont_copy_prefs => 1, local_tests_only => 1, userstate_dir => $dir,
    home_dir_for_helpers => $dir, rules_filename => "$dir/none", site_rules_filename => "$dir/none",
    userprefs_filename => "$dir/none", config_text => <<"END" });
loadplugin Mail::SpamAssassin::Plugin::Check
loadplugin Mail::SpamAssassin::Plugin::Bayes
use_bayes 1
use_learner 1
bayes_path $dir/bayes
bayes_min_ham_num 1
bayes_min_spam_num 1
bayes_auto_learn 0
bayes_auto_expire 0
bayes_learn_to_journal 0
bayes_expiry_max_db_size 3000000
body BAYES_ANY eval:check_bayes('0.00', '1.00')
tflags BAYES_ANY learn
score BAYES_ANY 1
END
binmode STDIN; binmode STDOUT; $| = 1;
$sa->init(1);
print "ready\n";
while (my $line = <STDIN>) {
    my ($verb, $length) = split ' ', $line;
    my $octets = '';
    read(STDIN, $octets, $length) == $length or die "cut off";
    my $message = $sa->parse($octets, 1);
    if ($verb eq 'score') {
        my $status = $sa->check($message);
        my $score = $status->{bayes_score};
        print defined $score ? "$score\n" : "0.5\n";
        $status->finish;
    } else {
        $sa->init_learner({ force_expire => 0, learn_to_journal => 0, wait_for_lock => 1 });
        my $status = $sa->learn($message, undef, $verb eq 'spam' ? 1 : 0, 0);
        print $status->did_learn ? "learnt\n" : "not learnt\n";
        $status->finish;
        $sa->finish_learner;
    }
    $message->finish;
}
"""


class SpamAssassin(Filter):
    """Its Bayes plugin in one Perl process that stays, which is faster than spamd."""

    name = "spamassassin"
    lost_from = 0.95  # BAYES_95 and BAYES_99 are what its default scores make spam with

    def __init__(self, directory: Path, closing: contextlib.ExitStack) -> None:
        _need("spamassassin", "perl")
        self._process = subprocess.Popen(
            ["perl", "-e", _SPAMASSASSIN, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        closing.callback(_end, self._process)
        if self._line() != "ready":
            raise Unavailable("SpamAssassin did not start")

    def score(self, message: bytes) -> float:
        return float(self._ask("score", message))

    def learn(self, message: bytes, is_spam: bool) -> None:
        self._ask("spam" if is_spam else "ham", message)

    def _ask(self, verb: str, message: bytes) -> str:
        octets = _lines(message)
        stdin = _pipe(self._process.stdin)
        stdin.write(b"%b %d\n%b" % (verb.encode(), len(octets), octets))
        stdin.flush()
        return self._line()

    def _line(self) -> str:
        return _pipe(self._process.stdout).readline().decode().strip()


_RSPAMD = """
options {{
  pidfile = "{directory}/rspamd.pid"; tempdir = "{directory}";
  filters = ""; cache_file = "{directory}/symbols.cache";
  dns {{ nameserver = ["127.0.0.1:{nowhere}"]; timeout = 0.01s; retransmits = 1; }}
  url_tld = "/usr/share/rspamd/effective_tld_names.dat";
  classify_headers = ["User-Agent", "X-Mailer", "Content-Type", "X-MimeOLE"];
  max_sessions_cache = 10; allow_raw_input = true;
}}
logging {{ type = "file"; filename = "{directory}/rspamd.log"; level = "notice"; }}
lua = "{directory}/rspamd.lua";
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
worker "controller" {{
  bind_socket = "127.0.0.1:{controller}"; count = 1; secure_ip = "127.0.0.1";
}}
redis {{ servers = "127.0.0.1:{redis}"; timeout = 10s; }}
classifier "bayes" {{
  tokenizer {{ name = "osb"; }}
  backend = "redis"; servers = "127.0.0.1:{redis}"; new_schema = true;
  min_tokens = 1; min_learns = 1; timeout = 10s;
  statfile {{ symbol = "BAYES_HAM"; spam = false; }}
  statfile {{ symbol = "BAYES_SPAM"; spam = true; }}
}}
metric "default" {{
  actions {{ reject = 100; add_header = 50; greylist = 40; }}
  group "statistics" {{
    symbol "BAYES_SPAM" {{ weight = 1.0; }}
    symbol "BAYES_HAM" {{ weight = -1.0; }}
  }}
}}
"""


class Rspamd(Filter):
    """Its Bayes classifier over Redis, and no other module."""

    name = "rspamd"
    lost_from = 0.95

    def __init__(self, directory: Path, closing: contextlib.ExitStack) -> None:
        _need("rspamd", "redis-server")
        redis, port, controller, nowhere = free_ports("127.0.0.1", 4)
        directory.chmod(0o777)
        config = directory / "rspamd.conf"
        config.write_text(
            _RSPAMD.format(
                directory=directory, redis=redis, port=port, controller=controller, nowhere=nowhere
            )
        )
        (directory / "rspamd.lua").write_text("")
        _start(
            closing,
            [
                "redis-server",
                "--bind",
                "127.0.0.1",
                "--port",
                str(redis),
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                str(directory),
            ],
            redis,
        )
        _start(closing, ["rspamd", "-f", "-i", "-c", str(config)], port)
        _wait_for(controller)
        self._scan = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._learn = http.client.HTTPConnection("127.0.0.1", controller, timeout=60)

    def score(self, message: bytes) -> float:
        symbols = _post(self._scan, "/checkv2", message)["symbols"]
        for name, sign in (("BAYES_SPAM", 1), ("BAYES_HAM", -1)):
            if name in symbols:
                percent = float(symbols[name]["options"][0].rstrip("%"))
                # two decimals are written; the score tells apart what they do not
                certain = percent / 100 - 0.5 + 4e-5 * abs(float(symbols[name]["score"]))
                return min(1.0, max(0.0, 0.5 + sign * certain))
        return 0.5

    def learn(self, message: bytes, is_spam: bool) -> None:
        _post(self._learn, "/learnspam" if is_spam else "/learnham", message)


def _post(connection: http.client.HTTPConnection, path: str, message: bytes) -> Any:
    """What it answers; a refusal to learn (too few tokens, known already) is one, too."""
    try:
        connection.request("POST", path, body=message)
        answer = connection.getresponse().read()
    except (http.client.HTTPException, ConnectionError):
        connection.close()
        connection.request("POST", path, body=message)
        answer = connection.getresponse().read()
    return json.loads(answer)


FILTERS = ("mailframe", "bogofilter", "spamassassin", "rspamd")


@contextlib.contextmanager
def started(name: str, directory: Path) -> Iterator[Filter]:
    """A filter that has learnt nothing; ended afterwards. Raises Unavailable."""
    with contextlib.ExitStack() as closing:
        if name == "mailframe":
            yield Ours()
        elif name == "bogofilter":
            yield Bogofilter(directory)
        elif name == "spamassassin":
            yield SpamAssassin(directory, closing)
        else:
            yield Rspamd(directory, closing)


def _need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            raise Unavailable(f"{program} is not installed")


def _lines(message: bytes) -> bytes:
    """As a mail reader would hand it over."""
    return message.replace(b"\r\n", b"\n")


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # Popen was asked for it
    return stream


def _start(closing: contextlib.ExitStack, command: list[str], port: int) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    closing.callback(_end, process)
    _wait_for(port)


def _wait_for(port: int, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise Unavailable(f"nothing listens on port {port}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
        return
    process.kill()
    process.wait()
