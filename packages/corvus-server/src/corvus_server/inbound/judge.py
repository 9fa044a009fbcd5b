"""``corvus authenticate``: the checks of incoming mail for one message, without a server."""

from __future__ import annotations

import time
from typing import Any, Final

import corvus_dkim
import corvus_message
from corvus_auth.lookup import ZoneResolver
from corvus_server.config import Config
from corvus_server.inbound.authenticate import Authenticator

#: DMARC's result to the exit status of the command.
STATUS: Final = {"pass": 0, "fail": 1, "none": 2, "permerror": 1, "temperror": 75}


async def judge(
    config: Config,
    raw: bytes,
    *,
    ip: str,
    helo: str,
    mail_from: str,
    zone: bytes | None = None,
) -> tuple[dict[str, Any], int]:
    """
    Check *raw* as if *ip* had brought it.

    Args:
        zone: The JSON of a zone to ask instead of DNS (`corvus_auth.lookup.ZoneResolver`).

    Returns:
        The evidence with a ``sentence`` on top, and the exit status.
    """
    resolver: Any
    if zone is not None:
        resolver = ZoneResolver.from_json(zone)
    else:
        from corvus_auth.dns import AsyncDNSResolver

        resolver = AsyncDNSResolver(config.dns_servers)
    if b"\r\n" not in raw:
        # A message out of a file on Unix: mail has CRLF (RFC 5322 §2.3), and so had its signature.
        raw = raw.replace(b"\n", b"\r\n")
    verifier = corvus_dkim.Verifier()
    verifier.update(raw)
    found = await Authenticator(resolver, monotonic=time.monotonic).check(
        ip=ip,
        helo=helo,
        mail_from=mail_from,
        message=corvus_message.parse(raw),
        signatures=verifier.evaluate(now=time.time()),
    )
    tree = {
        "sentence": found.whole.sentence,
        **found.to_json(),
        "field": found.header(config.hostname).decode("utf-8", "replace"),
    }
    return tree, STATUS.get(found.status(found.dmarc), 1)
