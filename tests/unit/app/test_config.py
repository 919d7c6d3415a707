"""The configuration: what is read, and how every problem is told at once."""

from __future__ import annotations

import stat
import sys
import tomllib
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.app.config import Config, ConfigSource, load_config
from mailframe.app.config_lines import line_index, line_of
from mailframe.app.config_policy import DEFAULT_ORDER
from mailframe.app.config_settings import document, settings_of
from mailframe.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
MINIMAL = """\
hostname = "mail.example.test"
base = "state"

[listen.mx]
endpoint = "tcp:2525:interface=127.0.0.1"
role = "mx"
"""

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> str:
        path = tmp_path / "mailframe.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def problems(path: str | None, environ: dict[str, str] | None = None) -> list[str]:
    """Each problem as ``LINE key message``."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ or {})
    return [f"{p.line} {p.key} {p.message}" for p in caught.value.problems]


def test_the_least_that_will_do(write: Write, tmp_path: Path) -> None:
    config = load_config(write(MINIMAL), {})
    assert config.hostname == "mail.example.test"
    assert config.base == str(tmp_path / "state")
    assert config.limits.message_size == 35 * 1024 * 1024
    assert config.queue.retry == (300, 900, 1800, 3600, 7200, 14400)
    assert config.policy.order == DEFAULT_ORDER
    assert config.tls_mode(config.listen["mx"]) == "none"


def test_every_problem_at_once_each_with_its_line(write: Write) -> None:
    path = write("""\
hostnam = "mail.example.test"
base = 5
[listen.mx]
endpoint = "tpc:25"
role = "mxx"
[listen.pop3]
endpiont = "tcp:8110"
role = "pop3"
[limits]
message_size = "2 gigs"
hops = 0
recipients_per_message = true
[auth]
allow_plaintext = "yes"
checkers = [
  "file:",
]
[dns]
servers = ["127.0.0.1:99999"]
[relay]
networks = ["10.0.0.1/8"]
port = 70000
[queue]
retry = ["5 minutes"]
[routes]
"example.org" = "http://x"
"a b" = "mx"
""")
    found = problems(path)
    expected = {
        "0 hostname": "is missing",
        "1 hostnam": "did you mean hostname?",
        "2 base": "must be a string",
        "4 listen.mx.endpoint": "is not a Twisted server endpoint",
        "5 listen.mx.role": "did you mean mx?",
        "6 listen.pop3.endpoint": "is missing",
        "7 listen.pop3.endpiont": "did you mean endpoint?",
        "10 limits.message_size": "'2 gigs' is not a size (examples: 500M, 2G)",
        "11 limits.hops": "must be at least 1",
        "12 limits.recipients_per_message": "must be a whole number",
        "14 auth.allow_plaintext": "must be true or false",
        "15 auth.checkers": "names no file",
        "19 dns.servers": "is not an IP address with an optional port",
        "21 relay.networks": "has host bits set",
        "22 relay.port": "must be at most 65535",
        "24 queue.retry": "is not a duration",
        '26 routes."example.org"': "expected smtp://",
        '27 routes."a b"': "is not a domain",
    }
    for place, message in expected.items():
        assert any(one.startswith(place) and message in one for one in found), (place, found)
    assert len(found) == len(expected)


def test_a_problem_as_it_is_printed(write: Write) -> None:
    path = write(MINIMAL + "tls = 5\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert str(caught.value) == (
        f"{path}:7  listen.mx.tls  must be one of starttls, implicit, none"
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hostname = ", "1 "),
        ("a = 1\na = 2", "2 "),
        ('[listen.mx]\nrole = "mx"\n[listen.mx]\n', "3 "),
    ],
)
def test_what_is_not_toml(write: Write, text: str, place: str) -> None:
    (one,) = problems(write(text))
    assert one.startswith(place)
    assert "is not TOML" in one


@pytest.mark.parametrize(
    ("value", "words"),
    [("[" * 5000 + "]" * 5000, "too deep"), ("9" * 5000, "too many digits")],
)
def test_toml_that_python_gives_up_on(write: Write, value: str, words: str) -> None:
    (one,) = problems(write(f"workers = {value}\n"))
    assert "cannot be read" in one
    assert words in one


def test_what_cannot_be_read(tmp_path: Path) -> None:
    assert "No such file" in problems(str(tmp_path / "none.toml"))[0]
    assert "Is a directory" in problems(str(tmp_path))[0]
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'hostname = "\xe9"')
    assert "UTF-8" in problems(str(latin))[0]


@pytest.mark.parametrize(
    ("addition", "place"),
    [
        (
            '[listen.i]\nendpoint="tcp:4190"\nrole = "managesieve"',
            "9 listen.i.role 'managesieve' is not available",
        ),
        ('[policy]\norder = ["relay", "spf", "spf"]', "8 policy.order names a policy twice"),
        ('[policy]\norder = ["relay", "spv"]', "8 policy.order"),
        ('[policy.spf]\non_fail = "bounce"', "8 policy.spf.on_fail"),
        ('[realm]\nclass = "nonsense"', "8 realm.class must be package.module:Name"),
        ('[tls]\nkey = "k.pem"', "7 tls a key needs a certificate"),
        ('[listen.s]\nendpoint="tcp:1587"\nrole="submission"', "7 listen.s nobody could log in"),
        (
            '[listen.s]\nendpoint="tcp:1587"\nrole="mx"\ntls="starttls"',
            "10 listen.s.tls starttls n",
        ),
        (
            '[listen.two]\nrole="mx"\nendpoint = "tcp:2525:interface=127.0.0.1"',
            "9 listen.two.endpoint is the same as that of listen.mx",
        ),
        ('[queue]\nretry = ["5m", "0s"]', "8 queue.retry must be longer than 0s"),
        (
            '[queue]\nexpire = "1h"\nwarn_after = "2h"',
            "9 queue.warn_after is longer than queue.expire",
        ),
        ('[relay]\nsmarthost_password = "x"', "7 relay.smarthost"),
        ('[relay]\nsmarthost = "smtp://h"\nsmarthost_password = "x"', "8 relay.smarthost"),
        ('[relay]\nsmarthost = "smtp://u@h"', "8 relay.smarthost a login needs a name and"),
        ('[relay]\nsmarthost = "pipe:/bin/cat"', "8 relay.smarthost expected smtp://"),
        ('[relay]\nsmarthost="smtp://u@h"\nsmarthost_password={env="NO"}', "9 relay.smarthost_p"),
    ],
)
def test_what_contradicts_itself_or_is_not_there_yet(
    write: Write, addition: str, place: str
) -> None:
    found = problems(write(MINIMAL + addition + "\n"))
    assert any(one.startswith(place) for one in found), found


def test_what_surface_names_but_leaves_off_is_accepted(write: Write) -> None:
    text = "[policy.greylist]\nenabled = false\n[policy.dnsbl]\nlists = []\n[realm]\n"
    assert load_config(write(MINIMAL + text), {}).policy.greylist.enabled is False


def test_paths_are_relative_to_the_file(write: Write, tmp_path: Path) -> None:
    text = MINIMAL + '[tls]\ncertificate = "tls/cert.pem"\n[auth]\ncheckers = ["file:users"]\n'
    text += '[listen.lmtp]\nendpoint = "unix:run/lmtp.sock:mode=600"\nrole = "lmtp"\n'
    config = load_config(write(text), {})
    assert config.tls.certificate == str(tmp_path / "tls/cert.pem")
    assert config.auth.checkers == (f"file:{tmp_path}/users",)
    assert config.listen["lmtp"].endpoint == f"unix:{tmp_path}/run/lmtp.sock:mode=600"
    assert config.tls_mode(config.listen["mx"]) == "starttls"


def test_the_environment_wins(write: Write) -> None:
    environ = {
        "MAILFRAME_CONFIG": write(MINIMAL),
        "MAILFRAME_HOSTNAME": "other.example.test",
        "MAILFRAME_LIMITS__MESSAGE_SIZE": "50M",
        "MAILFRAME_LIMITS__HOPS": "20",
        "MAILFRAME_AUTH__ALLOW_PLAINTEXT": "true",
        "MAILFRAME_LISTEN__MX__ENDPOINT": "tcp:0",
        "MAILFRAME_LISTEN__POP__ROLE": "pop3",
        "MAILFRAME_LISTEN__POP__ENDPOINT": "tcp:0",
        "MAILFRAME_SOMETHING_ELSE": "of another program",
    }
    config = load_config(None, environ)
    assert config.hostname == "other.example.test"
    assert config.limits.message_size == 50 << 20
    assert config.limits.hops == 20
    assert config.auth.allow_plaintext is True
    assert config.listen["mx"].endpoint == "tcp:0"
    assert config.listen["pop"].role == "pop3"


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    environ = {
        "MAILFRAME_HOSTNAME": "a.test",
        "MAILFRAME_BASE": str(tmp_path),
        "MAILFRAME_LISTEN__MX__ENDPOINT": "tcp:0",
        "MAILFRAME_LISTEN__MX__ROLE": "mx",
    }
    assert load_config(None, environ).base == str(tmp_path)


def test_a_number_of_the_environment_is_told_of_as_one_of_the_file(write: Write) -> None:
    path = write(MINIMAL)
    assert load_config(path, {"MAILFRAME_POLICY__CONTENT__JUNK": "4.5"}).policy.content.junk == 4.5
    for text in ("many", "nan", ""):
        (found,) = problems(path, {"MAILFRAME_POLICY__CONTENT__JUNK": text})
        assert found.endswith("must be a finite number")


def test_problems_of_the_environment_name_the_variable(write: Write) -> None:
    environ = {
        "MAILFRAME_LIMITS__HOPS": "many",
        "MAILFRAME_LIMITS__HOPZ": "3",
        "MAILFRAME_HOSTNAM": "x",
        "MAILFRAME_DNS__SERVERS": "127.0.0.1",
        "MAILFRAME_LISTEN": "x",
        "MAILFRAME_ROUTES": "x",
        "MAILFRAME_LIMITS__HOPS__MORE": "x",
        "MAILFRAME_AUTH__ALLOW_PLAINTEXT": "1",
    }
    found = "\n".join(problems(write(MINIMAL), environ))
    for variable in environ:
        assert f"0 {variable} " in found, found
    assert "did you mean MAILFRAME_LIMITS__HOPS?" in found


def test_no_configuration_at_all() -> None:
    assert problems(None)[0].startswith("0 MAILFRAME_CONFIG no configuration")


def test_a_password_from_a_file_or_variable_is_never_shown(write: Write, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cr@t/word\n")
    text = MINIMAL + '[relay]\nsmarthost = "smtp://u@h.test:587"\nsmarthost_password = '
    for source, shown in (
        ('{ file = "secret" }', "[file "),
        ('{ env = "PW" }', "[environment PW]"),
        ('"s3cr@t/word"', "[hidden]"),
    ):
        config = load_config(write(text + source), {"PW": "s3cr@t/word"})
        assert config.relay.smarthost_url == "smtp://u:s3cr%40t%2Fword@h.test:587"
        assert "s3cr" not in repr(config)
        settings = {setting.key: setting.text for setting in settings_of(config)}
        assert shown in settings["relay.smarthost_password"]
        assert "s3cr" not in str(settings)


@pytest.mark.parametrize("url", ["smtp://u:hunter2@h.test", "smtp://u:hun:ter2@h.test:25"])
def test_a_password_in_an_url_is_never_shown(write: Write, url: str) -> None:
    config = load_config(write(MINIMAL + f'[routes]\n"a.test" = "{url}"\n'), {})
    shown = str([(setting.value, setting.text) for setting in settings_of(config)])
    assert "ter2" not in shown
    assert "u:[hidden]@h.test" in shown


def test_settings_are_printed_as_they_are_written(write: Write) -> None:
    """What ``config show`` prints, put into a file, is the same configuration."""
    config = load_config(write(MINIMAL + '[dns]\nservers = ["127.0.0.1:5353", "[::1]:53"]\n'), {})
    text = "\n".join(f"{s.key} = {s.text}" for s in settings_of(config) if s.text != "-")
    assert load_config(write(text), {}) == config


def test_nothing_can_be_changed_afterwards(write: Write) -> None:
    config = load_config(write(MINIMAL), {})
    with pytest.raises(FrozenInstanceError):
        config.limits.hops = 3  # type: ignore[misc]


def test_the_page_about_settings_is_up_to_date() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert text == document(), "run: python -m mailframe.app.config_settings > docs/settings.md"


@pytest.mark.parametrize("path", sorted((ROOT / "etc").glob("*.toml")), ids=lambda path: path.name)
def test_the_samples_can_be_used(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_text(path.read_text())
    (tmp_path / "smarthost.password").write_text("x")
    assert isinstance(load_config(str(copy), {}), Config)


def test_the_readme_configuration_can_be_used(write: Write) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    toml = text.partition("```toml file=mailframe.toml\n")[2].partition("```")[0]
    assert set(load_config(write(toml), {}).listen) == {"mx", "submission", "imaps", "pop3s"}


def test_reading_writes_nothing(write: Write, tmp_path: Path) -> None:
    path = Path(write(MINIMAL))
    path.chmod(stat.S_IRUSR)
    before = path.stat()
    load_config(str(path), {})
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert list(tmp_path.iterdir()) == [path]


# -- the line index


def test_lines_of_odd_toml() -> None:
    text = '''\
a.b = 1
"quoted key" = """
[not.a.table]
c = 2
"""
list = [ # comment ]
  "[x]",
  'y"',
]

  [ "t.1" . u ]  # here
d = { e = 1, f = "}" }
'''
    lines = line_index(text)
    assert tomllib.loads(text)
    assert lines[("a", "b")] == 1
    assert lines[("quoted key",)] == 2
    assert ("not", "a", "table") not in lines
    assert lines[("list",)] == 6
    assert lines[("t.1", "u")] == 11
    assert lines[("t.1", "u", "d")] == 12
    assert line_of(lines, ("t.1", "u", "d", "e")) == 12
    assert line_of(lines, ("unheard", "of")) == 0


_KEYS = st.text(st.characters(categories=["L", "N"], max_codepoint=0x3FF), min_size=1, max_size=6)
_VALUES = st.one_of(
    st.integers(0, 9).map(str),
    st.just('"""\n[x]\ny = "\n"""'),
    st.just("'''\n'\n'''"),
    st.just('[ # ]\n "a]", [\n1] ]'),
    st.just("[\n[1],\n[2] ]"),
    st.just('"a#[b"'),
    st.just("{ a = [1], b = '}' }"),
)


@given(st.lists(st.tuples(_KEYS, _VALUES), unique_by=lambda pair: pair[0], max_size=8))
def test_every_key_has_its_own_line(pairs: list[tuple[str, str]]) -> None:
    lines = []
    wanted = {}
    for key, value in pairs:
        wanted[("table", key)] = sum(line.count("\n") + 1 for line in lines) + 2
        lines.append(f'"{key}" = {value}')
    text = "\n".join(["[table]", *lines, ""])
    assert set(tomllib.loads(text)["table"]) == {key for _, key in wanted}
    found = line_index(text)
    assert {path: found[path] for path in wanted} == wanted


def test_a_short_expiry_needs_no_word_about_warnings(write: Write) -> None:
    config = load_config(write(MINIMAL + '[queue]\nexpire = "1h"\n'), {})
    assert config.queue.expire == 3600


@pytest.mark.parametrize(("written", "processes"), [("1", 1), ("3", 3)])
def test_so_many_workers_serve(write: Write, written: str, processes: int) -> None:
    path = write(f"workers = {written}\n{MINIMAL}")
    assert load_config(path, {}).processes == processes
    assert load_config(write(MINIMAL), {"MAILFRAME_WORKERS": written}).processes == processes


def test_as_many_workers_as_processors(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 2, 5})
    assert load_config(write('workers = "auto"\n' + MINIMAL), {}).processes == 3
    assert load_config(write(MINIMAL), {"MAILFRAME_WORKERS": "auto"}).processes == 3
    assert load_config(write(MINIMAL), {}).processes == 1


@pytest.mark.parametrize("written", ["0", "257", "1.5", "true", '"2"', "[]", '"many"'])
def test_no_number_of_workers(write: Write, written: str) -> None:
    assert problems(write(f"workers = {written}\n{MINIMAL}")) == [
        '1 workers must be a number from 1 to 256, or "auto"'
    ]


def test_what_a_server_was_started_with_stays(write: Write, tmp_path: Path) -> None:
    source = ConfigSource(write(MINIMAL), {})
    text = source.read()
    write(MINIMAL.replace("mail.example", "other.example"))
    assert source.config(text).hostname == "mail.example.test"
    assert source.load().hostname == "other.example.test"
    (tmp_path / "mailframe.toml").unlink()
    assert source.config(text).hostname == "mail.example.test"
    with pytest.raises(ConfigError):
        source.load()


def test_a_server_finds_its_file_wherever_it_goes(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(MINIMAL)
    monkeypatch.chdir(tmp_path)
    source = ConfigSource("mailframe.toml", {})
    monkeypatch.chdir("/")
    assert source.load().base == str(tmp_path / "state")


def test_code_beside_the_file_is_found_and_imported_only_where_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "config_zoo.py").write_text("def Realm(): ...\ndef rule(view): ...\n")
    path = tmp_path / "mailframe.toml"
    path.write_text(
        'hostname = "mail.example.test"\nbase = "state"\n'
        '[listen.mx]\nendpoint = "tcp:2525:interface=127.0.0.1"\nrole = "mx"\n'
        '[realm]\nclass = "config_zoo:Realm"\n'
        '[policy.content]\nrules = ["config_zoo:rule"]\n'
    )
    source = ConfigSource(str(path), {})
    assert source.load_without_code().realm.class_ == "config_zoo:Realm"
    load_config(str(path), {})
    assert "config_zoo" not in sys.modules
    assert str(tmp_path) in sys.path
    source.load()
    assert "config_zoo" in sys.modules
