"""``corvus doctor``: what stands between this machine and mail that arrives, in sentences."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import time
from collections.abc import Sequence
from typing import Any, Final

from corvus_auth.lookup import Answer
from corvus_server.config import Config

#: Free octets below which the disk is a worry.
FREE: Final = 1 << 30


async def examine(
    config: Config,
    domains: Sequence[str],
    keys: Sequence[dict[str, Any]],
    resolver: Any = None,
) -> list[dict[str, str]]:
    """
    Examine DNS, ports, certificate, clock and disk.

    Returns:
        Rows of ``subject``, ``state`` (``good``, ``wrong``, ``unknown``) and ``finding``.
    """
    if resolver is None:
        from corvus_auth.dns import AsyncDNSResolver

        resolver = AsyncDNSResolver(config.dns_servers)
    rows = [*(await _host(config, resolver))]
    for domain in domains:
        rows += await _domain(config, domain, keys, resolver)
    rows += [_disk(config), _clock(), *(await _ports(config))]
    return rows


def _row(subject: str, state: str, finding: str) -> dict[str, str]:
    return {"subject": subject, "state": state, "finding": finding}


def _unanswered(answer: Answer) -> bool:
    return answer.status in ("timeout", "servfail")


async def _host(config: Config, resolver: Any) -> list[dict[str, str]]:
    name = config.hostname
    found: list[str] = []
    for rdtype in ("A", "AAAA"):
        answer = await resolver.aresolve(name, rdtype)
        if _unanswered(answer):
            return [_row(name, "unknown", "DNS does not answer")]
        found += [str(record) for record in answer.records]
    if not found:
        return [_row(name, "wrong", f"publish an A record for {name}: it has no address")]
    rows = [_row(name, "good", f"leads to {', '.join(found)}")]
    for address in found:
        from ipaddress import ip_address

        pointer = await resolver.aresolve(ip_address(address).reverse_pointer, "PTR")
        names = [str(record).rstrip(".").lower() for record in pointer.records]
        if _unanswered(pointer):
            rows.append(_row(f"PTR {address}", "unknown", "DNS does not answer"))
        elif name in names:
            rows.append(_row(f"PTR {address}", "good", f"says {name}"))
        else:
            said = ", ".join(names) or "nothing"
            finding = f"says {said}; have your provider set it to {name}, or mail will be refused"
            rows.append(_row(f"PTR {address}", "wrong", finding))
    return rows


async def _domain(
    config: Config, domain: str, keys: Sequence[dict[str, Any]], resolver: Any
) -> list[dict[str, str]]:
    rows = []
    mx = await resolver.aresolve(domain, "MX")
    hosts = [str(host).rstrip(".").lower() for _, host in mx.records]
    if _unanswered(mx):
        rows.append(_row(f"MX {domain}", "unknown", "DNS does not answer"))
    elif config.hostname in hosts:
        rows.append(_row(f"MX {domain}", "good", f"names {config.hostname}"))
    else:
        rows.append(_row(f"MX {domain}", "wrong", f"publish: {domain}. MX 10 {config.hostname}."))
    wanted = [
        (f"SPF {domain}", domain, "v=spf1", "v=spf1 mx -all"),
        (
            f"DMARC {domain}",
            f"_dmarc.{domain}",
            "v=DMARC1",
            f"v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}",
        ),
    ]
    for subject, name, begins, suggestion in wanted:
        answer = await resolver.aresolve(name, "TXT")
        texts = [r.decode("utf-8", "replace") for r in answer.records if isinstance(r, bytes)]
        held = [text for text in texts if text.startswith(begins)]
        if _unanswered(answer):
            rows.append(_row(subject, "unknown", "DNS does not answer"))
        elif len(held) == 1:
            rows.append(_row(subject, "good", held[0]))
        elif held:
            rows.append(_row(subject, "wrong", "there are several; keep one"))
        else:
            rows.append(_row(subject, "wrong", f'publish: {name}. TXT "{suggestion}"'))
    for key in keys:
        if key["domain"] != domain or not key["active"]:
            continue
        answer = await resolver.aresolve(key["name"], "TXT")
        texts = [r.decode("utf-8", "replace") for r in answer.records if isinstance(r, bytes)]
        if _unanswered(answer):
            rows.append(_row(f"DKIM {key['name']}", "unknown", "DNS does not answer"))
        elif key["record"].replace(" ", "") in [text.replace(" ", "") for text in texts]:
            rows.append(_row(f"DKIM {key['name']}", "good", "is published"))
        else:
            state = "is not published" if not texts else "is another key"
            finding = f"{state}; `corvus dkim-gen {domain}` prints it"
            rows.append(_row(f"DKIM {key['name']}", "wrong", finding))
    return rows


def _disk(config: Config) -> dict[str, str]:
    folder = config.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    words = f"{free / (1 << 30):.1f} GiB are free for {config.data_dir}"
    return _row("disk", "good" if free > FREE else "wrong", words)


def _clock() -> dict[str, str]:
    year = time.gmtime().tm_year
    if year < 2024:
        return _row("clock", "wrong", f"it says {year}; signatures would be refused")
    return _row("clock", "good", time.strftime("it says %Y-%m-%d %H:%M UTC", time.gmtime()))


async def _ports(config: Config) -> list[dict[str, str]]:
    """Whether the listeners answer, as seen from this machine."""
    rows = []
    for name, address in config.listen_addresses.items():
        host = address.host or "127.0.0.1"
        subject = f"{name.removesuffix('_addr')} {address}"
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, address.port), 3)
        except (OSError, TimeoutError):
            rows.append(_row(subject, "wrong", "nobody answers; is `corvus serve` running?"))
            continue
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        rows.append(_row(subject, "good", "answers"))
    if not rows:
        rows.append(_row("ports", "wrong", f"no listener is switched on at {socket.gethostname()}"))
    return rows
