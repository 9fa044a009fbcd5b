"""corvus_auth behind the interface of an SPF driver: ``check(ip, mail_from, helo, dns) -> result``.

*dns* is ``{(name, type): [records]}``; the resolver made of it is kept for as long as it is the
same dictionary.
"""

from __future__ import annotations

from typing import Any

from corvus_auth import spf
from corvus_auth.lookup import ZoneResolver

_kept: tuple[Any, ZoneResolver] | None = None


def resolver_for(dns: dict[tuple[str, str], list[Any]]) -> ZoneResolver:
    global _kept
    if _kept is None or _kept[0] is not dns:
        zone: dict[str, dict[str, list[Any]]] = {}
        for (name, rdtype), records in dns.items():
            zone.setdefault(name, {})[rdtype] = records
        _kept = (dns, ZoneResolver(zone))
    return _kept[1]


def check(ip: str, mail_from: str, helo: str, dns: dict[tuple[str, str], list[Any]]) -> str:
    return str(spf.check(ip, mail_from, helo, resolver=resolver_for(dns)).status)
