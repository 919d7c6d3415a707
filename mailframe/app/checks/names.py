"""Does the DNS lead other servers here?"""

from __future__ import annotations

from mailframe.app.checks.finding import Finding, fail, ok, skip, warn
from mailframe.app.config import Config
from mailframe.errors import DnsError, NoSuchDomain
from mailframe.interfaces import IResolver


async def check_host(config: Config, dns: IResolver) -> list[Finding]:
    """The server's own name: there, and the same backwards."""
    name = config.hostname
    try:
        addresses = await dns.addresses(name)
    except NoSuchDomain:
        addresses = ()
    except DnsError as error:
        return [skip("dns.host", f"the DNS gives no answer about {name}: {error}")]
    if not addresses:
        fix = f"publish A and AAAA records for {name}"
        return [fail("dns.host", f"{name} has no address", fix)]
    findings = [ok("dns.host", f"{name} is {', '.join(addresses)}")]
    for ip in addresses:
        findings.append(await _reverse(name, ip, dns))
    return findings


async def _reverse(name: str, ip: str, dns: IResolver) -> Finding:
    id = f"dns.reverse.{ip}"
    try:
        names = await dns.ptr(ip)
    except NoSuchDomain:
        names = ()
    except DnsError as error:
        return skip(id, f"the DNS gives no answer about {ip}: {error}")
    if name in names:
        return ok(id, f"{ip} is {name} backwards too")
    text = f"{ip} is {', '.join(names) or 'nobody'} backwards; many servers refuse such mail"
    return warn(id, text, f"ask your provider to set its PTR record to {name}")


async def check_domain(domain: str, config: Config, dns: IResolver) -> list[Finding]:
    """MX records of a domain that we take mail for."""
    id = f"dns.{domain}.mx"
    fix = f"publish: {domain}. MX 10 {config.hostname}."
    try:
        records = sorted(await dns.mx(domain))
    except NoSuchDomain:
        return [fail(id, f"{domain} does not exist", "register it, or correct its name")]
    except DnsError as error:
        return [skip(id, f"the DNS gives no answer about {domain}: {error}")]
    hosts = [record.host for record in records]
    if config.hostname in hosts:
        return [ok(id, f"MX {' '.join(hosts)}")]
    if not hosts:
        return [fail(id, f"{domain} has no MX record", fix)]
    if "" in hosts:
        return [fail(id, f"{domain} says that it takes no mail (null MX)", fix)]
    ours = set(await _addresses(config.hostname, dns))
    for host in hosts:
        if ours & set(await _addresses(host, dns)):
            return [ok(id, f"MX {' '.join(hosts)}: {host} is this host by another name")]
    # Right where another server takes the mail in and passes it on to us.
    return [warn(id, f"MX {' '.join(hosts)}, none of them {config.hostname}", fix)]


async def _addresses(host: str, dns: IResolver) -> tuple[str, ...]:
    try:
        return await dns.addresses(host)
    except DnsError:
        return ()
