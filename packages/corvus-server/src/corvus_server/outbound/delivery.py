"""One attempt: a mail, some recipients at one domain, a route, and what the other server said.

A `Courier` holds the connection, so that several mails to one destination share it.  Everything it
learns is data: each recipient's own reply, and an `Attempt` with the addresses tried, the TLS facts,
the dialogue and the times.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import corvus_smtp as smtp
from corvus_server.network import Network
from corvus_server.outbound.routing import Route
from corvus_server.storage import values
from corvus_server.storage.bodies import BodyReader
from corvus_server.tls import SessionFacts, client_context
from corvus_server.transports.client import Link

#: Octets of a message that are sent at a time.
CHUNK: Final = 256 * 1024
#: Seconds for a connection to be made; the next address is tried then.
CONNECT: Final = 30.0
#: Mails that one connection carries.
REUSE: Final = 50

LOST: Final = smtp.Reply(451, "4.4.2", "The connection was lost")
SILENT: Final = smtp.Reply(451, "4.4.1", "The other server did not answer in time")
GARBAGE: Final = smtp.Reply(451, "4.5.0", "The other server speaks no SMTP that we understand")
UNREACHABLE: Final = smtp.Reply(451, "4.4.1", "No host could be reached")
BAD_ADDRESS: Final = smtp.Reply(550, "5.1.3", "The address is malformed")
NEEDS_TLS: Final = smtp.Reply(450, "4.7.10", "The sender requires TLS, which could not be had")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A smarthost: where all mail goes, and how to sign in there."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Relay | None:
        """
        Read ``host:port`` or ``user:password@host:port``; empty is none.

        >>> Relay.parse("alice:secret@relay.example:587")
        Relay(host='relay.example', port=587, user='alice')
        """
        if not text:
            return None
        credentials, _, place = text.rpartition("@")
        user, _, password = credentials.partition(":")
        host, colon, port = place.rpartition(":")
        if not colon:
            host, port = place, "25"
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("a relay is host:port or user:password@host:port")
        return cls(host=host.strip("[]").lower(), port=int(port), user=user, password=password)


@final
@dataclass(slots=True, kw_only=True)
class Report:
    """What one attempt came to."""

    replies: dict[int, smtp.Reply] = field(default_factory=dict)
    """The last word for each recipient, by its id."""
    host: str = ""
    address: str = ""
    tls: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    dialogue: str = ""
    told_dsn: bool = False
    """The other server took over the duty of reporting (RFC 3461 §5.2.2)."""


class _Failed(Exception):
    """This host will not do; the next may."""

    def __init__(self, reply: smtp.Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


@final
class Courier:
    """Delivers mails over one route, on one connection as long as it lasts."""

    def __init__(
        self,
        network: Network,
        route: Route,
        *,
        hostname: str,
        port: int,
        sources: Sequence[str] = (),
        relay: Relay | None = None,
        context: ssl.SSLContext | None = None,
        monotonic: Callable[[], float],
        limits: smtp.Limits = smtp.Limits(),
    ) -> None:
        self._network = network
        self._route = route
        self._hostname = hostname
        self._port = port
        self._sources = sources
        self._relay = relay
        self._context = context or client_context()
        self._monotonic = monotonic
        self._limits = limits
        self._link: Link | None = None
        self._place = ("", "")
        self._carried = 0

    async def deliver(
        self,
        entry: values.QueueEntry,
        recipients: Sequence[values.QueueRecipient],
        open_body: Callable[[], BodyReader],
    ) -> Report:
        """Try to deliver *entry* to *recipients*; a reply for each is in the report."""
        report = Report(details={"route": self._route.to_dict(), "tried": []})
        began = self._monotonic()
        last = UNREACHABLE
        for host, address in self._places():
            try:
                link = await self._connected(host, address, entry, report)
            except _Failed as failure:
                last = failure.reply
                self._drop(report)
                continue
            report.host, report.address = host, address
            await self._transaction(link, entry, recipients, open_body, report)
            break
        for recipient in recipients:
            report.replies.setdefault(recipient.id, last)
        if self._link is not None:
            report.dialogue = str(self._link.dialogue)
            self._carried += 1
            if self._carried >= REUSE or self._link.conn.closing:
                await self.close()
        report.details["seconds"] = round(self._monotonic() - began, 3)
        return report

    async def close(self) -> None:
        """Say QUIT, if somebody is there to hear it."""
        link, self._link = self._link, None
        if link is None:
            return
        with contextlib.suppress(Exception):  # a farewell that fails has still been one
            if not link.conn.closing:
                link.conn.quit()
                for _ in range(4):
                    if isinstance(await link.next_event(), smtp.ConnectionEnded):
                        break
        link.close()

    # Getting there.

    def _places(self) -> Iterator[tuple[str, str]]:
        if self._link is not None and not self._link.conn.closing:
            yield self._place
        for hop in self._route.hops:
            for address in hop.addresses:
                yield hop.host, address

    async def _connected(
        self, host: str, address: str, entry: values.QueueEntry, report: Report
    ) -> Link:
        if self._link is not None and (host, address) == self._place:
            if not self._link.conn.closing and (self._link.facts or not entry.require_tls):
                report.details["reused"] = True
                report.tls = _tls_facts(self._link.facts)
                return self._link
            await self.close()
        try:
            link = await self._greeted(host, address, entry, report, secure=True)
        except _TLSFailed as error:
            report.details["tls_failed"] = str(error)
            if entry.require_tls or self._relay is not None:
                raise _Failed(NEEDS_TLS) from error
            # Opportunistic security (RFC 7435): in the clear is better than not at all, and the
            # record says that it was so.
            link = await self._greeted(host, address, entry, report, secure=False)
        self._link, self._place, self._carried = link, (host, address), 0
        return link

    async def _greeted(
        self, host: str, address: str, entry: values.QueueEntry, report: Report, *, secure: bool
    ) -> Link:
        tried = {"host": host, "address": address, "secure": secure, "result": ""}
        report.details["tried"].append(tried)
        conn = smtp.ClientConnection(
            self._hostname, limits=self._limits, bare_newlines=smtp.BareNewlines.NORMALISE
        )
        try:
            link = await Link.open(
                self._network,
                address,
                self._port,
                conn,
                source=self._source(address),
                patience=CONNECT,
            )
        except OSError as error:
            tried["result"] = str(error) or type(error).__name__
            raise _Failed(
                smtp.Reply(
                    451,
                    "4.4.1",
                    f"{_plain(host)} [{address}] cannot be reached: {_plain(str(error))}",
                )
            ) from error
        self._link = link
        try:
            await self._hello(link, secure, host, entry, report)
        except (_Failed, _TLSFailed) as error:
            tried["result"] = str(error)
            raise
        except TimeoutError as error:
            tried["result"] = "timeout"
            raise _Failed(SILENT) from error
        except smtp.RemoteProtocolError as error:
            tried["result"] = "garbage"
            raise _Failed(GARBAGE) from error
        except OSError as error:
            silent = "no answer" in str(error)
            tried["result"] = "timeout" if silent else str(error)
            raise _Failed(SILENT if silent else LOST) from error
        tried["result"] = "connected"
        return link

    def _source(self, address: str) -> str | None:
        family = ":" in address
        return next((each for each in self._sources if (":" in each) == family), None)

    async def _hello(
        self, link: Link, secure: bool, host: str, entry: values.QueueEntry, report: Report
    ) -> None:
        event = await link.next_event()
        if isinstance(event, smtp.ConnectionEnded):
            raise _Failed(LOST)
        if not event.reply.positive:
            raise _Failed(event.reply)
        await self._ehlo(link)
        if secure and "STARTTLS" in link.conn.capabilities:
            reply = await self._ask(link, link.conn.starttls())
            if reply is None or not reply.positive:
                raise _TLSFailed("STARTTLS was offered and refused")
            try:
                facts = await link.start_tls(self._context, host)
            except OSError as error:
                raise _TLSFailed(str(error)) from error
            report.tls = _tls_facts(facts)
            await self._ehlo(link)
        elif entry.require_tls or (self._relay is not None and self._relay.user):
            raise _Failed(NEEDS_TLS)
        if self._relay is not None and self._relay.user:
            await self._sign_in(link, self._relay)

    async def _ehlo(self, link: Link) -> None:
        reply = await self._ask(link, link.conn.ehlo())
        if reply is not None and reply.permanent:
            reply = await self._ask(link, link.conn.helo())
        if reply is None:
            raise _Failed(LOST)
        if not reply.positive:
            raise _Failed(reply)

    async def _sign_in(self, link: Link, relay: Relay) -> None:
        initial = b"\0".join((b"", relay.user.encode(), relay.password.encode()))
        try:
            command = link.conn.auth("PLAIN", initial)
        except smtp.NotOffered as error:
            raise _Failed(error.reply) from error
        link.secret()
        reply = await self._ask(link, command)
        if reply is None or not reply.positive:
            raise _Failed(
                smtp.Reply(
                    451, "4.7.0", f"The relay refused our credentials: {reply or 'no answer'}"
                )
            )

    async def _ask(self, link: Link, command: smtp.Command) -> smtp.Reply | None:
        """The reply to *command*, or ``None`` if the connection ended before it."""
        while True:
            event = await link.next_event()
            if isinstance(event, smtp.ConnectionEnded):
                return None
            if event is smtp.PAUSED:
                return smtp.Reply(220, None, "go ahead")
            if isinstance(event, smtp.ReplyReceived) and event.command in (command, None):
                reply: smtp.Reply = event.reply
                return reply

    # The transaction.

    async def _transaction(
        self,
        link: Link,
        entry: values.QueueEntry,
        recipients: Sequence[values.QueueRecipient],
        open_body: Callable[[], BodyReader],
        report: Report,
    ) -> None:
        left = {recipient.id for recipient in recipients}

        def settle(reply: smtp.Reply, ids: set[int] | None = None) -> None:
            for each in left & (left if ids is None else ids):
                report.replies[each] = reply
            left.difference_update(ids if ids is not None else set(left))

        conn = link.conn
        try:
            mail = conn.mail(entry.mail_from, _mail_parameters(entry))
        except smtp.NotOffered as error:
            settle(error.reply)
            return
        except ValueError:
            settle(BAD_ADDRESS)
            return
        commands: dict[Any, int] = {}
        for recipient in recipients:
            try:
                commands[conn.rcpt(recipient.address, _rcpt_parameters(recipient))] = recipient.id
            except smtp.NotOffered as error:
                settle(error.reply, {recipient.id})
            except ValueError:
                settle(BAD_ADDRESS, {recipient.id})
        if not commands:
            conn.reset()
        else:
            data = conn.data()
        report.told_dsn = "DSN" in conn.capabilities
        try:
            while left:
                event = await link.next_event()
                if isinstance(event, smtp.ConnectionEnded):
                    settle(LOST)
                elif isinstance(event, smtp.DataReady):
                    with open_body() as body:
                        await self._send(link, body)
                elif isinstance(event, smtp.ReplyReceived):
                    refused = event.command is mail and not event.reply.positive
                    if event.command is None or refused:
                        settle(event.reply)
                    elif event.command in commands and not event.reply.positive:
                        settle(event.reply, {commands[event.command]})
                    elif commands and event.command is data and not event.reply.intermediate:
                        settle(event.reply)
                elif event is smtp.PAUSED:
                    settle(GARBAGE)
                    link.abort()
        except smtp.RemoteProtocolError:
            settle(GARBAGE)
            self._drop(report)
        except TimeoutError:
            settle(SILENT)
            self._drop(report)
        except OSError as error:
            settle(SILENT if "no answer" in str(error) else LOST)
            self._drop(report)

    async def _send(self, link: Link, body: BodyReader) -> None:
        octets = body.read(CHUNK)
        while True:
            following = body.read(CHUNK)
            if not following:
                await link.send_body(octets, last=True)
                return
            await link.send_body(octets)
            octets = following

    def _drop(self, report: Report) -> None:
        link, self._link = self._link, None
        if link is not None:
            report.dialogue = str(link.dialogue)
            link.abort()


class _TLSFailed(Exception):
    """STARTTLS did not lead to TLS."""


def _mail_parameters(entry: values.QueueEntry) -> smtp.MailParameters:
    return smtp.MailParameters(
        size=entry.size,
        body=smtp.BodyType.EIGHT_BIT_MIME if entry.eight_bit else None,
        smtputf8=entry.smtputf8,
        requiretls=entry.require_tls,
        ret=smtp.Ret(entry.return_content) if entry.return_content else None,
        envid=entry.envelope_id or None,
    )


def _rcpt_parameters(recipient: values.QueueRecipient) -> smtp.RcptParameters:
    notify = None
    if recipient.notify:
        notify = frozenset(smtp.Notify(word) for word in recipient.notify.split(","))
    original = None
    if recipient.original:
        kind, _, address = recipient.original.partition(";")
        with contextlib.suppress(ValueError):
            original = smtp.OriginalRecipient(kind, address)
    return smtp.RcptParameters(notify=notify, orcpt=original)


def _tls_facts(facts: SessionFacts | None) -> dict[str, Any]:
    if facts is None:
        return {}
    found: dict[str, Any] = {"version": facts.version, "cipher": facts.cipher}
    if facts.peer_certificate:
        from corvus_server.tls import describe_certificate

        found["certificate"] = describe_certificate(facts.peer_certificate)
    return found


def _plain(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:200]


def nowhere(route: Route) -> smtp.Reply:
    """The reply that a route without hosts amounts to."""
    return smtp.Reply(route.code, route.enhanced, _plain(route.reason))


def shortened(details: dict[str, Any]) -> dict[str, Any]:
    """The details of an attempt, small enough to be stored."""
    route = dict(details.get("route", {}))
    route["answers"] = route.get("answers", [])[:30]
    return {**details, "route": route}
