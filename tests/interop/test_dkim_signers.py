"""Our signatures before other people's verifiers: dkimpy, OpenDKIM and Mail::DKIM, each on every
message of the MIME suite that can go by SMTP; straight from us, and after a real Postfix."""

from __future__ import annotations

import contextlib
import os
import re
import smtplib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailframe.mailauth.dkim.keys import private_key
from mailframe.message.headers import named, split_message
from tests.interop.peers.dns import Dns
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import (
    free_port,
    loopback_address,
    need,
    privately,
    run,
    wait_until,
)
from tests.unit.mailauth.dkim.dkim_world import (
    ED,
    RSA,
    record_of,
    signed,
    verified_message,
    zone,
)

SUITE = (
    Path(os.environ.get("MAILFRAME_SUITES", Path(__file__).resolve().parents[3] / "shared/suites"))
    / "06-mime"
)
NO_MESSAGES = (".json", ".md", ".jpg", ".png", ".gif", ".tiff", ".zip", ".pub", ".html", ".pdf")
MORE = 1_000_000
BOX = "ann@pf.test"
NUMBER = re.compile(rb"^X-Number: ([0-9]+)\r?$", re.MULTILINE)
FIELDS = re.compile(rb"(?:[!-9;-~]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+")
PERL = r"""
use strict; use warnings;
use Mail::DKIM::Verifier;
while (my $path = <STDIN>) {
    chomp $path;
    open my $file, '<:raw', $path or die "$path: $!";
    my $verifier = Mail::DKIM::Verifier->new;
    $verifier->PRINT($_) while <$file>;
    $verifier->CLOSE;
    print join(' ', $path, map { $_->result } $verifier->signatures), "\n";
}
"""
PERL_SIGNER = r"""
use strict; use warnings;
use Mail::DKIM::Signer;
my ($key, $method) = @ARGV;
while (my $path = <STDIN>) {
    chomp $path;
    open my $file, '<:raw', $path or die "$path: $!";
    my $signer = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => $method,
        Domain => 'example.org', Selector => 'r', KeyFile => $key);
    $signer->PRINT($_) while <$file>;
    $signer->CLOSE;
    open my $out, '>:raw', "$path.signature" or die "$path: $!";
    print $out $signer->signature->as_string, "\r\n";
}
"""

Messages = Mapping[int, bytes]

pytestmark = [
    pytest.mark.skipif(not SUITE.is_dir(), reason="the MIME suite is not here"),
    pytest.mark.slow,
]


def may_be_sent(message: bytes) -> bool:
    """Valid for SMTP, with a header section that is one for everybody, not signed already."""
    header, _ = split_message(message)
    return (
        re.search(rb"\0|\r(?!\n)|(?<!\r)\n", message) is None
        and max(map(len, message.split(b"\r\n"))) <= 998
        and FIELDS.fullmatch(header) is not None
        and re.search(rb"^[ \t]+\r\n", header, re.MULTILINE) is None
        and len(list(named(header, "From"))) == 1
        and not list(named(header, "DKIM-Signature"))
    )


def is_strict(message: bytes) -> bool:
    """RFC 5322 section 3.6: how often each field may be there, with an address in From. OpenDKIM
    reads nothing else, and no header of more than 64 KB."""
    header, _ = split_message(message)
    most_one = ("Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References",
                "Subject")  # fmt: skip
    (author,) = named(header, "From")
    return (
        len(list(named(header, "Date"))) == 1
        and all(len(list(named(header, name))) <= 1 for name in most_one)
        and b"@" in author.value
        and len(header) < 64_000
    )


def wire(data: bytes) -> bytes:
    lines = re.sub(rb"\r?\n", b"\r\n", data)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


@pytest.fixture(scope="module")
def messages() -> Messages:
    """Signed with both keys; ``X-Number`` tells them apart."""
    found = {}
    paths = [path for path in SUITE.rglob("*") if path.is_file() and path.suffix not in NO_MESSAGES]
    for number, path in enumerate(sorted(paths)):
        message = wire(path.read_bytes())
        if may_be_sent(message):
            header, body = split_message(message)
            header = b"X-Number: %d\r\n" % number + header
            found[number] = signed(header, body, [RSA, ED]) + b"\r\n" + body
    assert len(found) > 300
    return found


@pytest.fixture(scope="module")
def dns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dns]:
    path = tmp_path_factory.mktemp("dns")
    path.chmod(0o755)
    server = Dns(path, loopback_address())
    records = {}
    for key in (RSA, ED):
        text = record_of(key).decode()
        strings = " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))
        records[f"{key.selector}._domainkey.{key.domain}"] = [f"TXT {strings}"]
    with contextlib.ExitStack() as ends:
        ends.callback(server.stop)
        server.start(records)
        yield server


def add_changed(messages: dict[int, bytes]) -> int:
    """One that nobody must believe; its number."""
    messages[2 * MORE] = next(iter(messages.values())) + b"and more\r\n"
    return 2 * MORE


def dkimpy(messages: Messages) -> list[int]:
    """The numbers of those it does not believe."""
    dkim = pytest.importorskip("dkim", reason="dkimpy is not installed")
    pytest.importorskip("nacl", reason="dkimpy needs PyNaCl for Ed25519")
    records = {
        f"{key.selector}._domainkey.{key.domain}.".encode(): record_of(key) for key in (RSA, ED)
    }

    def answer(name: bytes, timeout: float = 5) -> bytes | None:
        return records.get(name)

    def is_believed(message: bytes) -> bool:
        try:
            return all(dkim.DKIM(message).verify(place, dnsfunc=answer) for place in (0, 1))
        except dkim.DKIMException:
            return False

    return [number for number, message in messages.items() if not is_believed(message)]


def files(messages: Messages, directory: Path) -> list[Path]:
    for number, message in messages.items():
        (directory / f"{number}").write_bytes(message)
    return [directory / f"{number}" for number in messages]


def opendkim(paths: Sequence[Path], dns: Dns) -> list[int]:
    need("opendkim-testmsg", "unshare")
    script = 'while read -r path; do opendkim-testmsg < "$path" >&2 || echo "$path"; done'
    view = privately({"/etc/resolv.conf": dns.resolv_conf})
    done = run([*view, "sh", "-c", script], input="".join(f"{path}\n" for path in paths))
    return [int(Path(line).name) for line in done.stdout.splitlines()]


def mail_dkim(paths: Sequence[Path], dns: Dns) -> list[int]:
    need("perl", "unshare")
    if run(["perl", "-MMail::DKIM", "-e", "1"]).returncode:
        pytest.skip("Mail::DKIM is not installed")
    view = privately({"/etc/resolv.conf": dns.resolv_conf})
    done = run([*view, "perl", "-e", PERL], input="".join(f"{path}\n" for path in paths))
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == len(paths)
    # "invalid": without CryptX it knows no Ed25519
    good = (["pass", "pass"], ["pass", "invalid"])
    return [int(Path(path).name) for path, *results in lines if results not in good]


def test_dkimpy_believes_all(messages: Messages) -> None:
    more = dict(messages)
    changed = add_changed(more)
    assert dkimpy(more) == [changed]


def test_opendkim_believes_all(messages: Messages, dns: Dns, directory: Path) -> None:
    strict = {number: text for number, text in messages.items() if is_strict(text)}
    assert len(strict) > 300
    # the second signature, which is Ed25519, without the first; and a message with another text
    for number in list(strict)[:20]:
        top, below = named(strict[number], "DKIM-Signature")
        strict[MORE + number] = strict[number].removeprefix(top.raw)
        assert b"s=e" in below.raw
    changed = add_changed(strict)
    assert opendkim(files(strict, directory), dns) == [changed]


def test_mail_dkim_believes_all(messages: Messages, dns: Dns, directory: Path) -> None:
    more = dict(messages)
    changed = add_changed(more)
    assert mail_dkim(files(more, directory), dns) == [changed]


@pytest.mark.parametrize("method", ["simple/simple", "relaxed/simple", "relaxed/relaxed"])
def test_we_believe_what_mail_dkim_signs(messages: Messages, directory: Path, method: str) -> None:
    need("perl")
    if run(["perl", "-MMail::DKIM", "-e", "1"]).returncode:
        pytest.skip("Mail::DKIM is not installed")
    key = directory / "key.pem"
    key.write_bytes(
        private_key(RSA.private).private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
    )
    paths = files(messages, directory)
    names = "".join(f"{path}\n" for path in paths)
    done = run(["perl", "-e", PERL_SIGNER, str(key), method], input=names)
    assert done.returncode == 0, done.stderr
    keys = zone()
    doubted = []
    for path in paths:
        signature = path.with_name(f"{path.name}.signature").read_bytes()
        top, *_ = verified_message(signature + path.read_bytes(), keys)
        if not top:
            doubted.append((path.name, top.reason))
    assert doubted == []


def test_after_a_postfix_all_are_believed(
    messages: Messages, dns: Dns, directory: Path, stack: contextlib.ExitStack
) -> None:
    address = loopback_address()
    postfix = Postfix(directory, address, free_port(address), "mail.pf.test")
    stack.callback(postfix.stop)
    # to this Postfix we are a stranger, whose header it leaves alone; it cuts off a header that
    # is longer than 100 KB
    settings = {"local_header_rewrite_clients": "", "header_size_limit": "1000000"}
    postfix.start(mailboxes=[BOX], settings=settings)
    with smtplib.SMTP(address, postfix.port) as client:
        client.ehlo()
        for message in messages.values():
            client.sendmail("bob@example.org", [BOX], message, ["BODY=8BITMIME"])
    wait_until(lambda: len(postfix.inbox(BOX)) == len(messages), "all arrive", 30)
    arrived = {}
    for text in postfix.inbox(BOX):
        number = NUMBER.search(text)
        assert number is not None
        arrived[int(number[1])] = wire(text)
    assert set(arrived) == set(messages)
    assert dkimpy(arrived) == []
    inbox = directory / "arrived"
    inbox.mkdir()
    assert mail_dkim(files(arrived, inbox), dns) == []
