"""From the queue's words to those of SMTP, and from a connection to what is recorded of it."""

from __future__ import annotations

import contextlib
from typing import Any

import corvus_smtp as smtp
from corvus_server.storage import values
from corvus_server.tls import SessionFacts, describe_certificate


def server_name(host: str) -> str:
    """What the certificate must name: the host, or the address in a literal."""
    if not host.startswith("["):
        return host
    inner = host[1:-1]
    return inner[5:] if inner[:5].lower() == "ipv6:" else inner


def strict(entry: values.QueueEntry) -> bool:
    """
    Whether *entry* may go out only under TLS that is proven.

    "When the MAIL FROM return-path is empty, the REQUIRETLS parameter SHOULD NOT cause a bounce
    message to be discarded" (:rfc:`8689#section-5`).
    """
    return entry.require_tls and bool(entry.mail_from)


def mail_parameters(entry: values.QueueEntry, offered: smtp.Capabilities) -> smtp.MailParameters:
    """What MAIL says for *entry* to a server that has *offered* so much."""
    return smtp.MailParameters(
        size=entry.size,
        body=smtp.BodyType.EIGHT_BIT_MIME if entry.eight_bit else None,
        smtputf8=entry.smtputf8,
        requiretls=strict(entry) or (entry.require_tls and "REQUIRETLS" in offered),
        ret=smtp.Ret(entry.return_content) if entry.return_content in ("FULL", "HDRS") else None,
        envid=entry.envelope_id or None,
    )


def rcpt_parameters(recipient: values.QueueRecipient) -> smtp.RcptParameters:
    """What RCPT says for *recipient*."""
    notify = None
    if recipient.notify:
        notify = frozenset(smtp.Notify(word) for word in recipient.notify.split(","))
    original = None
    if recipient.original:
        kind, _, address = recipient.original.partition(";")
        with contextlib.suppress(ValueError):
            original = smtp.OriginalRecipient(kind, address)
    return smtp.RcptParameters(notify=notify, orcpt=original)


def tls_facts(facts: SessionFacts | None, *, verified: bool) -> dict[str, Any]:
    """What the record of an attempt says about TLS; empty in clear."""
    if facts is None:
        return {}
    found: dict[str, Any] = {
        "version": facts.version, "cipher": facts.cipher, "verified": verified,
    }  # fmt: skip
    if facts.peer_certificate:
        with contextlib.suppress(ValueError):  # shown for the record; whatever it holds
            found["certificate"] = describe_certificate(facts.peer_certificate)
    return found


def shortened(details: dict[str, Any]) -> dict[str, Any]:
    """The details of an attempt, small enough to be stored (16 KB as JSON)."""
    route = dict(details.get("route", {}))
    route["answers"] = [
        {**answer, "records": [str(record)[:100] for record in answer["records"][:5]]}
        for answer in route.get("answers", [])[:24]
    ]
    tried = [
        {**each, "result": str(each["result"])[:200]} for each in details.get("tried", [])[:24]
    ]
    return {**details, "route": route, "tried": tried}
