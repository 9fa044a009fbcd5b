"""What trouble amounts to: the replies that we give ourselves where no server gave one.

Enhanced codes are those of RFC 3463 §3.5 (X.4.*: network and routing) unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import corvus_smtp as smtp
from corvus_server.outbound.routing import Route
from corvus_server.transports.client import Timeout

LOST: Final = smtp.Reply(451, "4.4.2", "The connection was lost")
SILENT: Final = smtp.Reply(451, "4.4.1", "The other server did not answer in time")
GARBAGE: Final = smtp.Reply(451, "4.5.0", "The other server speaks no SMTP that we understand")
UNREACHABLE: Final = smtp.Reply(451, "4.4.1", "No host could be reached")
BAD_ADDRESS: Final = smtp.Reply(550, "5.1.3", "The address is malformed")
#: "Unable to establish TLS-protected SMTP session: 5.7.10 Encryption needed" (RFC 8689 §4.2.1).
NEEDS_TLS: Final = smtp.Reply(550, "5.7.10", "The sender requires TLS, which could not be had")
UNPROVEN: Final = smtp.Reply(
    550,
    "5.7.10",
    "The sender requires TLS, and no DNSSEC proves which hosts take the domain's mail",
)
RELAY_NEEDS_TLS: Final = smtp.Reply(
    451, "4.7.10", "The relay offers no TLS that we trust, and credentials do not go out in clear"
)


def reply_to(error: Exception) -> smtp.Reply:
    """What trouble of the line amounts to."""
    if isinstance(error, smtp.RemoteProtocolError):
        return GARBAGE
    return SILENT if isinstance(error, Timeout) else LOST


def too_many(reply: smtp.Reply) -> bool:
    """Whether it is 452 for too many recipients, or 552 as of old (:rfc:`5321#section-4.5.3.1.10`)."""
    return (reply.code == 452 and str(reply.enhanced or "4.5.3") == "4.5.3") or (
        reply.code == 552 and str(reply.enhanced or "5.5.3") == "5.5.3"
    )


def gravest(failures: Sequence[smtp.Reply]) -> smtp.Reply:
    """The reply of a tour that found no host: temporary while one of them may take it later."""
    temporary = [reply for reply in failures if not reply.permanent]
    return (temporary or list(failures) or [UNREACHABLE])[-1]


def plain(text: str) -> str:
    """Visible ASCII, short enough for a reply."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:200]


def nowhere(route: Route) -> smtp.Reply:
    """The reply that a route without hosts amounts to."""
    return smtp.Reply(route.code, route.enhanced, plain(route.reason))
