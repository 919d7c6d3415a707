"""Routes, next hops and what they may not give away."""

from __future__ import annotations

import pytest
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.envelope import Recipient
from mailframe.core.resolution import Local
from mailframe.core.routing import Route
from mailframe.delivery import Router
from mailframe.delivery.hosts import Encryption, Security
from mailframe.delivery.nexthop import Kind, parse_next_hop
from mailframe.errors import TransientFailure
from mailframe.interfaces import IRouter


def to(address: str) -> Recipient:
    return Recipient(Address.parse(address))


def way(router: Router, address: str) -> tuple[str, str]:
    route = router.route(to(address))
    return route.courier, route.next_hop


def test_it_provides_the_interface() -> None:
    verifyObject(IRouter, Router({}, None))


def test_a_mailbox_here_comes_first() -> None:
    router = Router({"*": "smtp://a.example"}, "smtp://b.example")
    here = Recipient(Address.parse("a+x@here.example"), mailbox=Local("a@here.example", "Junk"))
    assert router.route(here) == Route("local", "a@here.example", "a mailbox here")


def test_a_program_comes_before_the_mailbox() -> None:
    router = Router({"*": "smtp://a.example"}, "smtp://b.example")
    mailbox = Local("orders@here.example", "Junk", courier="shop")
    here = Recipient(Address.parse("orders+7@here.example"), mailbox=mailbox)
    assert router.route(here) == Route("shop", "orders@here.example", "accepted for shop")


@pytest.mark.parametrize("name", ["local", "mx", "smtp", "lmtp", "pipe", "expanded"])
def test_no_account_can_name_a_courier_of_ours_as_its_program(name: str) -> None:
    """A database of accounts that named ``pipe`` would have commands run."""
    mailbox = Local("pipe:/bin/rm -rf x@here.example", courier=name)
    recipient = Recipient(Address.parse("x@here.example"), mailbox=mailbox)
    with pytest.raises(TransientFailure, match=f"{name} is no program"):
        Router({}, None).route(recipient)


def test_an_expanded_alias_goes_nowhere() -> None:
    router = Router({"*": "smtp://a.example"}, None)
    team = Address.parse("team@here.example")
    targets = [to("a@far.example"), Recipient(Address.parse("a@far.example"), original=team)]
    assert router.route(Recipient(team, original=team)).courier == "expanded"
    assert [router.route(target).courier for target in targets] == ["smtp", "smtp"]
    kept = Recipient(team, original=team, mailbox=Local("team@here.example"))
    assert router.route(kept).courier == "local"


def test_the_nearest_rule_decides() -> None:
    router = Router(
        {
            "Example.org": "smtp://127.0.0.1:2600",
            ".example.org": "lmtp://sub.example",
            ".deep.example.org": "lmtp+unix:/run/x.sock",
            "pipe.example": "pipe:/usr/bin/procmail -d 'a b'",
            "here.example": "local",
            "dns.example": "mx",
        },
        "smtps://smart.example",
    )
    assert way(router, "a@example.org") == ("smtp", "smtp://127.0.0.1:2600")
    assert way(router, "a@x.example.org") == ("lmtp", "lmtp://sub.example:24")
    assert way(router, "a@x.deep.example.org") == ("lmtp", "lmtp+unix:/run/x.sock")
    assert way(router, "a@pipe.example") == ("pipe", "pipe:/usr/bin/procmail -d 'a b'")
    assert way(router, "Ann@here.example") == ("local", "ann@here.example")
    assert way(router, "a@dns.example") == ("mx", "dns.example")
    assert way(router, "a@other.example") == ("smtp", "smtps://smart.example:465")
    assert way(router, "a@[192.0.2.1]") == ("smtp", "smtps://smart.example:465")
    assert router.route(to("a@x.example.org")).why == 'routes.".example.org"'


@pytest.mark.parametrize("written", ["πεδίο.example", "xn--kxajc6bb.example"])
def test_a_domain_is_the_same_in_either_form(written: str) -> None:
    router = Router({written: "smtp://a.example", f".{written}": "smtp://b.example"}, None)
    for domain in ("πεδίο.example", "xn--kxajc6bb.example"):
        assert way(router, f"γ@{domain}") == ("smtp", "smtp://a.example:25")
        assert way(router, f"γ@x.{domain}") == ("smtp", "smtp://b.example:25")
        assert way(Router({}, None), f"γ@{domain}") == ("mx", "xn--kxajc6bb.example")


def test_everything_else_by_mx() -> None:
    assert way(Router({}, None), "a@x.example") == ("mx", "x.example")
    assert way(Router({}, None), "a@[192.0.2.1]") == ("mx", "[192.0.2.1]")
    assert way(Router({"*": "smtp://hub.example"}, None), "a@b.example")[0] == "smtp"


def test_a_password_stays_inside() -> None:
    router = Router(
        {"a.example": "smtp://u:s3cret@h.example"}, "smtp://me%40x:p%3As3cret@hub.example"
    )
    for address in ("a@a.example", "a@b.example"):
        route = router.route(to(address))
        assert "s3cret" not in repr(route)
        hop = router.next_hops()[route.next_hop]
        assert hop.credentials is not None
        assert "s3cret" in hop.credentials.password
        assert "s3cret" not in repr(hop)
    hop = router.next_hops()["smtp://me%40x@hub.example:587"]
    assert hop.credentials is not None
    assert (hop.credentials.login, hop.credentials.password) == ("me@x", "p:s3cret")


def test_two_logins_at_one_host_are_two_ways() -> None:
    logins = {"a.example": "ann:one@", "b.example": "bob:two@", "c.example": ""}
    routes = {domain: f"smtp://{login}hub.example:587" for domain, login in logins.items()}
    router = Router(routes, None)
    for domain, login in logins.items():
        found = router.next_hops()[router.route(to(f"x@{domain}")).next_hop].credentials
        assert (f"{found.login}:{found.password}@" if found else "") == login


@pytest.mark.parametrize(
    ("text", "security"),
    [
        ("smtp://h.example", Security(Encryption.OPPORTUNISTIC)),
        ("smtp://u:p@h.example", Security(Encryption.REQUIRED, verify=True)),
        ("smtp://u:p@127.0.0.1", Security(Encryption.OPPORTUNISTIC)),
        ("smtp://u:p@[::1]:25", Security(Encryption.OPPORTUNISTIC)),
        ("smtp://u:p@h.example?verify=no", Security(Encryption.REQUIRED)),
        ("smtp://h.example?tls=off", Security(Encryption.OFF)),
        ("smtp://h.example?tls=required&verify=yes", Security(Encryption.REQUIRED, verify=True)),
        ("smtps://h.example", Security(Encryption.IMPLICIT, verify=True)),
        ("smtps://localhost", Security(Encryption.IMPLICIT)),
        ("lmtp+unix:/x", Security(Encryption.OFF)),
    ],
)
def test_how_careful_to_be(text: str, security: Security) -> None:
    assert parse_next_hop(text).security == security


def test_plain_passwords_only_towards_this_machine() -> None:
    near, far = parse_next_hop("smtp://u:p@localhost"), parse_next_hop("smtp://u:p@h.example")
    assert near.credentials is not None
    assert near.credentials.allow_plaintext
    assert far.credentials is not None
    assert not far.credentials.allow_plaintext


@pytest.mark.parametrize(
    ("text", "kind", "host", "port"),
    [
        ("smtp://[2001:db8::1]", Kind.SMTP, "2001:db8::1", 25),
        ("smtp://u:p@h.example", Kind.SMTP, "h.example", 587),
        ("smtp://u:p@h.example:25", Kind.SMTP, "h.example", 25),
        (" lmtp://h.example:2003 ", Kind.LMTP, "h.example", 2003),
    ],
)
def test_ports(text: str, kind: Kind, host: str, port: int) -> None:
    hop = parse_next_hop(text)
    assert (hop.kind, hop.host, hop.port) == (kind, host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", "h.example", "http://h.example", "smtp://", "smtp://h.example:x", "smtp://h:99999"),
        *("smtp://h.example/path", "smtp://h.example?x=1", "smtp://h?tls=maybe", "smtp://a b"),
        *("smtp://u:s3cret@", "smtp://u@h.example", "smtp://:s3cret@h.example", "smtp://h..x"),
        *("pipe:", "pipe:relative", "pipe:/bin/x 'open", "lmtp+unix:rel", "smtp://h?verify=yes"),
        *("smtp://[::1", "smtp://u:s3cret%00@h.example", "smtp://h#frag"),
    ],
)
def test_mistakes_are_explained_without_the_password(text: str) -> None:
    with pytest.raises(ValueError, match=r"routes|\w") as caught:
        Router({"a.example": text}, None)
    assert "a.example" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_bad_domain_and_a_bad_smarthost() -> None:
    with pytest.raises(ValueError, match=r"a\.\.b"):
        Router({"a..b": "mx"}, None)
    with pytest.raises(ValueError, match="smarthost"):
        Router({}, "pipe:/bin/x")
