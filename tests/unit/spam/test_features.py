"""What becomes of a message: which tokens, how many, and what hostile input does not do."""

from __future__ import annotations

import time

import pytest

from mailframe.spam.features import BITS, MOST, Features, features_of, hash_of, named_features

PLAIN = (
    b"From: Nobody <nobody@shop.example>\r\nTo: you@home.test\r\nSubject: Cheap WATCHES\r\n"
    b"\r\nBuy now at http://www.shop.example/watches/buy.html?id=7\r\n"
)


def tokens(message: bytes) -> set[str]:
    return set(named_features(message).values())


def with_body(body: bytes, kind: bytes = b"text/plain; charset=utf-8") -> bytes:
    return b"Subject: x\r\nContent-Type: " + kind + b"\r\n\r\n" + body


def test_words_and_pairs_of_header_and_text() -> None:
    found = tokens(PLAIN)
    assert {"subject:cheap", "subject:cheap subject:watches", "subject:caps:watches"} <= found
    assert {"buy", "buy now", "from:@shop.example", "from:@example", "to:you@home.test"} <= found
    assert {"url:shop.example", "url:/watches", "url:?id"} <= found


def test_the_names_are_those_of_the_features() -> None:
    assert tuple(sorted(named_features(PLAIN))) == features_of(PLAIN).hashes
    assert hash_of("buy now") in features_of(PLAIN).hashes


def test_encoded_texts_are_read_as_the_reader_sees_them() -> None:
    encoded = with_body(b"Y2hlYXAgcGlsbHM=\r\n").replace(
        b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1
    )
    assert "cheap pills" in tokens(encoded)
    subject = b"Subject: =?utf-8?q?caf=C3=A9_offer?=\r\n\r\n"
    assert {"subject:cafe subject:offer", "subject:encoded:utf-8q"} <= tokens(subject)


def test_greek_is_folded() -> None:
    text = "ΚΕΡΔΊΣΤΕ κερδίστε"
    utf8 = tokens(with_body(text.encode()))
    assert "κερδιστε" in utf8
    assert "κερδιστε κερδιστε" in utf8
    greek = tokens(with_body(text.encode("iso8859-7"), b"text/plain; charset=iso-8859-7"))
    assert "κερδιστε" in greek


def test_what_has_no_blanks_gives_pairs_of_letters() -> None:
    assert {"免费", "费发", "发票"} <= tokens(with_body("免费发票".encode()))


def test_html_is_read_both_ways() -> None:
    found = tokens(
        with_body(
            b'<p>v<b>ia</b>gra</p><img src="http://192.0.2.7/a.gif">'
            b'<div style="display:none">ham words</div><font color="#FF0000">red</font><br>'
            b'<a href="http://evil.example/">http://bank.example/</a>',
            b"text/html",
        )
    )
    assert {"viagra", "red", "html:hidden", "html:color=#ff0000", "html:img*1"} <= found
    assert {"url:numeric-host", "url:evil.example", "html:shows-another-host"} <= found


def test_a_link_that_shows_where_it_leads_is_no_deceit() -> None:
    body = b'<a href="http://www.bank.example/login">http://www.bank.example/</a>'
    assert "html:shows-another-host" not in tokens(with_body(body, b"text/html"))


@pytest.mark.parametrize(
    ("text", "oddity"),
    [
        ("via\u200bgra", "odd:invisible"),
        ("file\u202egpj.exe", "odd:bidi"),
        ("p\u0430ypal", "odd:mixed-scripts:1"),
    ],
)
def test_tricks_with_letters_are_noticed(text: str, oddity: str) -> None:
    assert oddity in tokens(with_body(text.encode()))
    assert not any("odd:" in token for token in tokens(with_body("καλημέρα Wörter".encode())))


def test_a_word_with_invisible_letters_is_the_word() -> None:
    assert "viagra" in tokens(with_body("via\u200bgra".encode()))


def test_attachments_are_seen_by_name_and_type() -> None:
    found = tokens(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
        b'Content-Type: application/zip; name="a.txt"\r\n'
        b'Content-Disposition: attachment; filename="invoice.pdf.exe"\r\n\r\nx\r\n--b--\r\n'
    )
    assert {"mime:file:.exe", "mime:file:.txt", "mime:attachment", "mime:parts:3"} <= found
    assert "mime:multipart/mixed>application/zip" in found


def test_what_a_filter_wrote_is_not_learnt_from() -> None:
    noted = b"X-Spam-Status: Yes\r\nX-Mailframe-Spam: 9\r\nAuthentication-Results: a; spf=fail\r\n"
    assert tokens(noted + PLAIN) == tokens(PLAIN)


def test_of_unknown_fields_it_counts_that_they_are_there() -> None:
    found = tokens(b"X-Batch: 4711 alpha\r\nX-Mailer: BulkMaster 3\r\n" + PLAIN)
    assert {"has:x-batch", "x-mailer:bulkmaster"} <= found
    assert not any("4711" in token or "alpha" in token for token in found)


def test_packed_features_are_the_same_again() -> None:
    features = features_of(PLAIN)
    assert Features.unpack(features.pack()) == features
    assert len(features.pack()) == 512 + 2 * len(features.hashes)
    assert Features.unpack(Features(()).pack()) == Features(())


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0" * 511,
        b"\0" * 514,
        Features((1, 2)).pack()[:-4] + b"\2\0\1\0",
        Features((1, 2)).pack()[:-4] + b"\1\0\1\0",
    ],
)
def test_damaged_features_are_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="packed features"):
        Features.unpack(octets)


HOSTILE = {
    "nothing": b"",
    "nul": b"\0" * 200_000,
    "one word": with_body(b"a" * 500_000),
    "different words": with_body(b" ".join(b"w%d" % n for n in range(100_000))),
    "fields": b"".join(b"X-Flood-%d: word%d other%d\r\n" % (n, n, n) for n in range(20_000)),
    "one field": b"Subject: " + b"=?x?q?a?= " * 50_000 + b"\r\n\r\n",
    "addresses": b"To: " + b"a@b.example, " * 50_000 + b"\r\n\r\n",
    "hosts": b"Received: from " + b"a-" * 100_000 + b"\r\n\r\n",
    "tags": with_body(b"<a b=c " * 50_000, b"text/html"),
    "open tags": with_body(b"<" * 300_000, b"text/html"),
    "anchors": with_body(b"<a x>" + b" " * 300_000, b"text/html"),
    "links": with_body(b"http://a.example/ " * 20_000),
    "at signs": with_body(b"a@" * 150_000),
    "ideographs": with_body("免".encode() * 100_000),
    "parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 30_000,
    "nested": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(999)
    ),
    "attached": b"Content-Type: message/rfc822\r\n\r\n" * 5_000,
    "base64": with_body(b"=" * 300_000).replace(
        b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1
    ),
    "charset": with_body(b"x \xff\xfe" * 50_000, b"text/plain; charset=utf-7"),
    "surrogates": with_body("\ud800".encode("utf-16-le", "surrogatepass") * 9, b"text/plain"),
}


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE)
def test_hostile_messages_cost_little_and_give_few_features(message: bytes) -> None:
    begin = time.process_time()
    features = features_of(message)
    assert time.process_time() - begin < 1.0
    assert len(features.hashes) <= MOST
    assert list(features.hashes) == sorted(set(features.hashes))
    assert all(0 <= number < 1 << BITS for number in features.hashes)


def test_a_flooded_group_takes_nothing_from_the_others() -> None:
    flood = b"".join(b"X-Flood-%d: word%d other%d\r\n" % (n, n, n) for n in range(20_000))
    padded = PLAIN.replace(b"\r\n\r\n", b"\r\n" + flood[:30_000] + b"\r\n\r\n", 1)
    assert {"subject:cheap", "buy now", "url:shop.example"} <= tokens(padded)
    long = PLAIN + b" ".join(b"w%d" % n for n in range(100_000))
    assert {"subject:cheap", "buy now", "url:shop.example"} <= tokens(long)
    assert len(features_of(long).hashes) < MOST


@pytest.mark.parametrize("cut", range(0, len(PLAIN), 7))
def test_a_message_may_be_cut_off_anywhere(cut: int) -> None:
    features_of(PLAIN[:cut])
