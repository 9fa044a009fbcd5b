"""How mail programs get in: settings to type, and files that set a program up by itself."""

from __future__ import annotations

import plistlib
import re
import uuid
from dataclasses import dataclass
from typing import Final, final

from markupsafe import escape
from starlette.responses import Response

from corvus_server.web.mail.reading import disposition
from corvus_server.web.page import Visit
from corvus_server.web.services import Services


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One way in."""

    kind: str
    """``imap``, ``pop3`` or ``smtp``."""
    label: str
    host: str
    port: int
    security: str
    """``SSL`` (TLS from the first octet) or ``STARTTLS``."""


#: Listener, kind, what people call it, security; the best first.
_WAYS: Final = (
    ("imap_tls_addr", "imap", "IMAP (incoming)", "SSL"),
    ("imap_addr", "imap", "IMAP with STARTTLS", "STARTTLS"),
    ("submission_tls_addr", "smtp", "SMTP (outgoing)", "SSL"),
    ("submission_addr", "smtp", "SMTP with STARTTLS", "STARTTLS"),
    ("pop3_tls_addr", "pop3", "POP3 (incoming)", "SSL"),
    ("pop3_addr", "pop3", "POP3 with STLS", "STARTTLS"),
)


def endpoints(services: Services) -> list[Endpoint]:
    """The ways in that this server offers."""
    found = []
    listening = services.addresses()
    for name, kind, label, security in _WAYS:
        port = listening.get(name, "").rpartition(":")[2]
        if port.isdigit():
            host = services.config.hostname
            found.append(
                Endpoint(kind=kind, label=label, host=host, port=int(port), security=security)
            )
    return found


def autoconfig(services: Services, domain: str) -> str:
    """Thunderbird's file (and that of many others) for a domain of ours."""
    lines = []
    for each in endpoints(services):
        tag = "outgoingServer" if each.kind == "smtp" else "incomingServer"
        lines.append(
            f'<{tag} type="{each.kind}"><hostname>{escape(each.host)}</hostname>'
            f"<port>{each.port}</port><socketType>{each.security}</socketType>"
            "<authentication>password-cleartext</authentication>"
            f"<username>%EMAILADDRESS%</username></{tag}>"
        )
    name = escape(domain)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<clientConfig version="1.1">'
        f'<emailProvider id="{name}"><domain>{name}</domain>'
        f"<displayName>{name}</displayName><displayShortName>{name}</displayShortName>"
        + "".join(lines)
        + "</emailProvider></clientConfig>\n"
    )


async def autoconfig_file(visit: Visit) -> Response:
    """Public: it says no more than the ports do."""
    domains = [domain.name for domain in visit.store.directory.domains()]
    asked = visit.query("emailaddress").rpartition("@")[2].lower()
    host = (visit.request.url.hostname or "").removeprefix("autoconfig.")
    domain = asked if asked in domains else host if host in domains else (domains or [""])[0]
    return Response(autoconfig(visit.services, domain), media_type="application/xml")


async def profile(visit: Visit) -> Response:
    """A configuration profile for iPhone, iPad and Mac; the password is asked for there."""
    me, ways = visit.me, endpoints(visit.services)
    incoming = next((each for each in ways if each.kind == "imap"), None)
    outgoing = next((each for each in ways if each.kind == "smtp"), None)
    identity = f"local.corvus.{re.sub('[^a-z0-9.-]', '-', me.address)}"
    mail: dict[str, object] = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadIdentifier": f"{identity}.mail",
        "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{me.address}")),
        "PayloadVersion": 1,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": me.address,
        "EmailAccountName": me.name or me.address,
        "EmailAddress": me.address,
    }
    for prefix, way in (("Incoming", incoming), ("Outgoing", outgoing)):
        if way is not None:
            mail[f"{prefix}MailServerAuthentication"] = "EmailAuthPassword"
            mail[f"{prefix}MailServerHostName"] = way.host
            mail[f"{prefix}MailServerPortNumber"] = way.port
            mail[f"{prefix}MailServerUseSSL"] = True
            mail[f"{prefix}MailServerUsername"] = me.address
    tree = {
        "PayloadType": "Configuration",
        "PayloadIdentifier": identity,
        "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"corvus:{me.address}")),
        "PayloadVersion": 1,
        "PayloadDisplayName": f"Mail of {me.address}",
        "PayloadContent": [mail],
    }
    return Response(
        plistlib.dumps(tree),
        media_type="application/x-apple-aspen-config",
        headers={"content-disposition": disposition("attachment", "corvus.mobileconfig")},
    )
