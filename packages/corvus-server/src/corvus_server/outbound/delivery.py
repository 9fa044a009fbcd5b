"""One attempt: a mail, some recipients at one domain, a route, and what the other server said.

A `Courier` holds the connection, so that several mails to one destination share it.  Everything it
learns is data: each recipient's own reply, the stage that was reached, the addresses tried, the TLS
facts, the dialogue and the times.

Trouble of the line before the message was sent sends us to the next host; once the message has been
sent it is too late for that, because it may have arrived.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeVar, final

import corvus_smtp as smtp
from corvus_server.network import Network
from corvus_server.outbound.envelope import (
    mail_parameters,
    rcpt_parameters,
    server_name,
    shortened,
    strict,
    tls_facts,
)
from corvus_server.outbound.relay import Relay
from corvus_server.outbound.replies import (
    BAD_ADDRESS,
    GARBAGE,
    LOST,
    NEEDS_TLS,
    RELAY_NEEDS_TLS,
    UNPROVEN,
    gravest,
    nowhere,
    plain,
    reply_to,
    too_many,
)
from corvus_server.outbound.routing import Route
from corvus_server.storage import values
from corvus_server.storage.bodies import BodyReader
from corvus_server.tls import client_context
from corvus_server.transports.client import Dialogue, Link

__all__ = ["Courier", "LocalTrouble", "Relay", "Report", "nowhere", "shortened"]

T = TypeVar("T")

#: Octets of a message that are sent at a time.
CHUNK: Final = 256 * 1024
#: Seconds for a connection to be made; the next address is tried then.
CONNECT: Final = 30.0
#: Mails that one connection carries.
REUSE: Final = 50
#: Addresses that are tried in one attempt: a domain may name a hundred.
PLACES: Final = 20
#: Recipients of one transaction: every server takes 100 (RFC 5321 §4.5.3.1.8), and some no more.
RECIPIENTS: Final = 100
#: Seconds for an answer that changes nothing any more: the reply to QUIT, or to DATA for nobody.
FAREWELL: Final = 5.0


class LocalTrouble(Exception):
    """The message could not be read here: a defect of ours, which no schedule mends."""


@final
@dataclass(slots=True, kw_only=True)
class Report:
    """What one attempt came to."""

    replies: dict[int, smtp.Reply] = field(default_factory=dict)
    """The last word for each recipient, by its id."""
    host: str = ""
    address: str = ""
    stage: str = "connect"
    """How far it came: ``connect greeting ehlo starttls auth mail rcpt data body end``."""
    unsure: bool = False
    """The message was sent and the answer was lost: it may have arrived, and will be sent again."""
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


class _TLSFailed(Exception):
    """STARTTLS did not lead to TLS."""


@final
@dataclass(slots=True)
class _Carried:
    """What a transaction left to do."""

    broken: smtp.Reply | None = None
    """The line failed before the message was sent: another host may take it."""
    again: list[values.QueueRecipient] = field(default_factory=list)
    """Recipients that were too many for one transaction, and want the next at once."""
    heard: bool = False
    """Whether the server answered anything."""


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
        trusted: ssl.SSLContext | None = None,
        monotonic: Callable[[], float],
        limits: smtp.Limits = smtp.Limits(),
    ) -> None:
        """
        Args:
            context: For opportunistic TLS, with whoever answers.
            trusted: For REQUIRETLS and relays that get credentials: asks for a valid certificate.
                The system's own by default.
        """
        self._network = network
        self._route = route
        self._hostname = hostname
        self._port = port
        self._sources = sources
        self._relay = relay
        self._context = context or client_context()
        self._trusted = trusted
        self._monotonic = monotonic
        self._limits = limits
        self._link: Link | None = None
        self._verified = False
        self._place = ("", "")
        self._carried = 0
        self._dialogue = Dialogue()

    async def deliver(
        self,
        entry: values.QueueEntry,
        recipients: Sequence[values.QueueRecipient],
        open_body: Callable[[], BodyReader],
    ) -> Report:
        """
        Try to deliver *entry* to *recipients*; a reply for each is in the report.

        Raises:
            LocalTrouble: Our own copy cannot be read; nobody was sent a part of it for the whole.
        """
        report = Report(details={"route": self._route.to_dict(), "tried": []})
        began = self._monotonic()
        self._dialogue = Dialogue([self._relay.password] if self._relay else None)
        if self._link is not None:
            # Each attempt has a dialogue of its own: who else was written to is not its business.
            self._link.dialogue = self._dialogue
        done = False
        try:
            await self._deliver(entry, recipients, open_body, report)
            done = True
        finally:
            if not done:
                self._drop()
            report.dialogue = str(self._dialogue)
            report.details["stage"] = report.stage
            report.details["seconds"] = round(self._monotonic() - began, 3)
            if report.unsure:
                report.details["unsure"] = True
        if self._link is not None:
            self._carried += 1
            if self._carried >= REUSE or self._link.conn.closing:
                await self.close()
        return report

    async def close(self) -> None:
        """Say QUIT, if somebody is there to hear it; takes at most some seconds."""
        link, self._link = self._link, None
        if link is None:
            return
        with contextlib.suppress(Exception):  # a farewell that fails has still been one
            if not link.conn.closing and not link.lost:
                link.conn.quit()
                for _ in range(4):
                    if isinstance(await link.next_event(FAREWELL), smtp.ConnectionEnded):
                        break
        link.close()

    def abort(self) -> None:
        """Cut the connection, without a word."""
        self._drop()

    async def _deliver(
        self,
        entry: values.QueueEntry,
        recipients: Sequence[values.QueueRecipient],
        open_body: Callable[[], BodyReader],
        report: Report,
    ) -> None:
        places = islice(self._places(), PLACES)
        failures: list[smtp.Reply] = []
        pending = list(recipients)
        if strict(entry) and self._relay is None and not self._route.proven:
            report.stage = "route"
            report.replies.update({each.id: UNPROVEN for each in pending})
            return
        while pending:
            fresh = not self._usable(entry)
            if fresh:
                place = next(places, None)
                if place is None:
                    reply = gravest(failures)
                    report.replies.update({each.id: reply for each in pending})
                    return
                try:
                    await self._connect(*place, entry, report)
                except _Failed as failure:
                    failures.append(failure.reply)
                    self._drop()
                    continue
            else:
                report.details["reused"] = True
            link = self._link
            assert link is not None
            report.host, report.address = self._place
            report.tls = tls_facts(link.facts, verified=self._verified)
            most = min(RECIPIENTS, max(1, link.conn.capabilities.recipients or RECIPIENTS))
            batch, rest = pending[:most], pending[most:]
            carried = await self._transaction(link, entry, batch, open_body, report)
            if carried.broken is not None:
                # A server may close a connection that it finds idle or used enough: that is no
                # failure of its host, which gets its turn as if nothing had been.
                if fresh or carried.heard:
                    failures.append(carried.broken)
                continue
            pending = carried.again + rest
            if self._link is None and pending:
                # It broke with a part of the recipients served; the others have their own try.
                report.replies.update({each.id: LOST for each in pending})
                return

    # Getting there.

    def _places(self) -> Iterator[tuple[str, str]]:
        for hop in self._route.hops:
            for address in hop.addresses:
                yield hop.host, address

    def _usable(self, entry: values.QueueEntry) -> bool:
        """Whether the connection that we have will do for *entry*."""
        link = self._link
        if link is None:
            return False
        if link.conn.closing or link.lost or (strict(entry) and not self._verified):
            self._drop()
            return False
        return True

    async def _connect(
        self, host: str, address: str, entry: values.QueueEntry, report: Report
    ) -> None:
        report.host, report.address = host, address
        needs = strict(entry) or (self._relay is not None and self._relay.signs_in)
        try:
            await self._greeted(host, address, report, secure=True, needs=needs)
        except _TLSFailed as error:
            self._drop()
            report.details["tls_failed"] = str(error)
            if needs:
                raise _Failed(NEEDS_TLS if strict(entry) else RELAY_NEEDS_TLS) from error
            # Opportunistic security (RFC 7435): in the clear is better than not at all, and the
            # record says that it was so.
            await self._greeted(host, address, report, secure=False, needs=False)
        self._place, self._carried = (host, address), 0

    async def _greeted(
        self, host: str, address: str, report: Report, *, secure: bool, needs: bool
    ) -> None:
        tried = {"host": host, "address": address, "secure": secure, "result": ""}
        report.details["tried"].append(tried)
        report.stage = "connect"
        self._dialogue.note(f"({plain(host)} [{address}] port {self._port})")
        conn = smtp.ClientConnection(
            self._hostname, limits=self._limits, bare_newlines=smtp.BareNewlines.NORMALISE
        )
        try:
            self._link = link = await Link.open(
                self._network,
                address,
                self._port,
                conn,
                source=self._source(address),
                patience=CONNECT,
                dialogue=self._dialogue,
            )
        except OSError as error:
            reason = str(error) or type(error).__name__
            tried["result"] = f"connect: {reason}"
            text = f"{plain(host)} [{address}] cannot be reached: {plain(reason)}"
            raise _Failed(smtp.Reply(451, "4.4.1", text)) from error
        try:
            self._verified = await self._hello(link, secure, needs, host, report)
        except (_Failed, _TLSFailed) as error:
            tried["result"] = f"{report.stage}: {error}"
            raise
        except (OSError, smtp.RemoteProtocolError) as error:
            reply = reply_to(error)
            tried["result"] = f"{report.stage}: {reply.text}"
            raise _Failed(reply) from error
        tried["result"] = "connected"

    def _source(self, address: str) -> str | None:
        family = ":" in address
        return next((each for each in self._sources if (":" in each) == family), None)

    async def _hello(
        self, link: Link, secure: bool, needs: bool, host: str, report: Report
    ) -> bool:
        """From the greeting to the point where mail may follow; whether the certificate was valid."""
        report.stage = "greeting"
        event = await link.next_event()
        if isinstance(event, smtp.ConnectionEnded):
            raise _Failed(LOST)
        if not event.reply.positive:
            raise _Failed(event.reply)
        report.stage = "ehlo"
        await self._ehlo(link)
        verified = False
        if secure and "STARTTLS" in link.conn.capabilities:
            report.stage = "starttls"
            verified = await self._secure(link, host, needs)
        elif needs:
            raise _Failed(NEEDS_TLS if self._relay is None else RELAY_NEEDS_TLS)
        if self._relay is not None and self._relay.signs_in:
            report.stage = "auth"
            await self._sign_in(link, self._relay)
        return verified

    async def _secure(self, link: Link, host: str, needs: bool) -> bool:
        try:
            reply = await self._ask(link, link.conn.starttls())
        except (OSError, smtp.RemoteProtocolError) as error:
            raise _TLSFailed(f"STARTTLS was offered: {reply_to(error).text}") from error
        if reply is None or not reply.positive:
            raise _TLSFailed(f"STARTTLS was offered and refused: {reply or 'connection lost'}")
        if not link.conn.tls_pending:
            # Octets behind the 220 were not sent by whoever we are about to shake hands with
            # (CVE-2011-0411, seen from the client's side).
            await link.next_event()
            raise _Failed(GARBAGE)
        context = self._context
        if needs:
            context = self._trusted = self._trusted or ssl.create_default_context()
        try:
            await link.start_tls(context, server_name(host))
        except OSError as error:
            raise _TLSFailed(str(error)) from error
        try:
            await self._ehlo(link)
        except (_Failed, OSError, smtp.RemoteProtocolError) as error:
            # Under TLS 1.3 a server can refuse the handshake after we believe that it is over.
            raise _TLSFailed(f"EHLO under TLS: {error}") from error
        return needs

    async def _ehlo(self, link: Link) -> None:
        reply = await self._ask(link, link.conn.ehlo())
        if reply is not None and reply.permanent and not link.conn.closing:
            # "if the server returns a "command not recognized" response to EHLO, the client SHOULD
            # be able to fall back and send HELO" (RFC 5321 §3.2).
            reply = await self._ask(link, link.conn.helo())
        if reply is None:
            raise _Failed(LOST)
        if not reply.positive:
            raise _Failed(reply)

    async def _sign_in(self, link: Link, relay: Relay) -> None:
        """AUTH PLAIN, or LOGIN where the relay knows nothing better; always under trusted TLS."""
        offered = link.conn.capabilities.mechanisms
        if "PLAIN" in offered or "LOGIN" not in offered:
            mechanism, initial, answers = "PLAIN", relay.plain(), []
        else:
            mechanism, initial, answers = "LOGIN", None, [relay.user, relay.password]
        try:
            command = link.conn.auth(mechanism, initial)
        except (smtp.NotOffered, smtp.LocalProtocolError) as error:
            raise _Failed(smtp.Reply(451, "4.7.0", "The relay offers no way to sign in")) from error
        while True:
            event = await link.next_event()
            if isinstance(event, smtp.ChallengeReceived):
                if answers:
                    link.respond(answers.pop(0).encode())
                else:
                    link.conn.cancel()
                continue
            reply = getattr(event, "reply", None)
            if isinstance(event, smtp.ReplyReceived) and event.command is command:
                if event.reply.positive:
                    return
            elif not isinstance(event, smtp.ConnectionEnded) and event is not smtp.PAUSED:
                continue
            # A password that was changed is the operator's to mend: the mail waits for it.
            said = plain(str(reply or "no answer"))
            raise _Failed(smtp.Reply(451, "4.7.0", f"The relay refused our credentials: {said}"))

    async def _ask(self, link: Link, command: smtp.Command) -> smtp.Reply | None:
        """The reply to *command*, or ``None`` if the connection ended before it."""
        while True:
            event = await link.next_event()
            if isinstance(event, smtp.ConnectionEnded):
                return None
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
    ) -> _Carried:
        """Offer the mail to *recipients*; each that is settled has its reply in *report*."""
        carried = _Carried()
        left = {recipient.id: recipient for recipient in recipients}
        surplus: list[values.QueueRecipient] = []
        accepted = 0

        def settle(reply: smtp.Reply, only: int | None = None) -> None:
            for each in [only] if only is not None else list(left):
                if left.pop(each, None) is not None:
                    report.replies[each] = reply

        conn = link.conn
        report.stage = "mail"
        try:
            mail = conn.mail(entry.mail_from, mail_parameters(entry, conn.capabilities))
        except smtp.NotOffered as error:
            # What this host lacks the next may have.
            carried.broken, carried.heard = error.reply, True
            await self.close()
            return carried
        except ValueError:
            settle(BAD_ADDRESS)
            return carried
        commands: dict[Any, int] = {}
        for recipient in recipients:
            try:
                commands[conn.rcpt(recipient.address, rcpt_parameters(recipient))] = recipient.id
            except smtp.NotOffered as error:
                settle(error.reply, recipient.id)
            except (ValueError, smtp.LocalProtocolError):
                # Malformed, or longer than a line: its own trouble, and not that of the others.
                settle(BAD_ADDRESS, recipient.id)
        data = conn.data() if commands else conn.reset()
        report.told_dsn = "DSN" in conn.capabilities
        sent = False
        try:
            while left or conn.unanswered:
                event = await link.next_event(None if left else FAREWELL)
                if isinstance(event, smtp.ConnectionEnded):
                    raise ConnectionError("the connection was lost")
                if isinstance(event, smtp.DataReady):
                    report.stage = "body"
                    await self._send(link, open_body)
                    self._dialogue.note(f"(the message, {entry.size} octets)")
                    sent, report.stage = True, "end"
                elif isinstance(event, smtp.ReplyReceived):
                    carried.heard = True
                    reply = event.reply
                    if reply.code == 421 and not sent:
                        # "421 [...] Service not available, closing transmission channel": the
                        # host is done with us, not with the mail.
                        self._drop()
                        carried.broken = reply if left else None
                        return carried
                    if event.command is None:
                        settle(reply)
                    elif event.command is mail:
                        report.stage = "rcpt" if reply.positive else report.stage
                        if not reply.positive:
                            settle(reply)
                    elif event.command in commands:
                        recipient_id = commands[event.command]
                        if reply.positive:
                            accepted += 1
                            report.stage = "data"
                        elif accepted and too_many(reply):
                            surplus.append(left.pop(recipient_id))
                        else:
                            settle(reply, recipient_id)
                    elif event.command is data:
                        settle(reply)
                elif event is smtp.PAUSED:
                    raise smtp.RemoteProtocolError("a turn that is nobody's")
        except (OSError, smtp.RemoteProtocolError) as error:
            self._drop()
            reply = reply_to(error)
            if sent and left:
                # R7: what was sent may have arrived.  It is sent again, and that is said.
                report.unsure = True
                text = f"{reply.text}, after the message was sent; it may have arrived"
                settle(smtp.Reply(reply.code, str(reply.enhanced), text))
            elif report.stage == "body":
                settle(reply)
            elif left:
                carried.broken = reply
                return carried
        if left:
            settle(GARBAGE)
        # "Clients SHOULD treat a 552 code in this case as a temporary, rather than permanent,
        # failure" (RFC 5321 §4.5.3.1.10): those behind the hundredth come with the next transaction.
        carried.again = surplus
        return carried

    async def _send(self, link: Link, open_body: Callable[[], BodyReader]) -> None:
        body = self._local(open_body)
        try:
            octets = self._local(lambda: body.read(CHUNK))
            while True:
                following = self._local(lambda: body.read(CHUNK))
                if link.lost:
                    raise ConnectionError("the connection was lost")
                await link.send_body(octets, last=not following)
                if not following:
                    return
                octets = following
        finally:
            body.close()

    def _local(self, read: Callable[[], T]) -> T:
        """Read from our own disk, whose trouble is not that of the line."""
        try:
            return read()
        except Exception as error:
            # Half a mail must not pass for the whole: the line is cut before the dot.
            self._drop()
            raise LocalTrouble(f"the message cannot be read: {type(error).__name__}") from error

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.abort()
