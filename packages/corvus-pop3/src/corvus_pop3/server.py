"""
The server's side of one POP3 session, without I/O (RFC 1939 and its extensions).

The engine knows the maildrop by the sizes and unique-ids it was told at login, and answers STAT,
LIST, UIDL, DELE and RSET from them.  What needs the world is an event: who a user is, the octets of
a message, and the deletions at QUIT.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import ClassVar, final

from corvus_pop3._maildrop import Maildrop
from corvus_pop3._multiline import MessageWriter
from corvus_pop3._speaker import Speaker
from corvus_pop3._state import ACCEPTED, REFUSED, State
from corvus_pop3.capabilities import Expire, Policy, check_announced, offer
from corvus_pop3.commands import BadCommand, Verb, from_base64, parse_command
from corvus_pop3.errors import LocalProtocolError
from corvus_pop3.events import (
    NEED_DATA,
    PAUSED,
    ApopOffered,
    AuthCancelled,
    AuthResponse,
    AuthStarted,
    CapabilitiesRequested,
    CommandRejected,
    ConnectionEnded,
    DeleteRequested,
    Event,
    LanguageRequested,
    ListingContinued,
    ListRequested,
    LoginOffered,
    NoopRequested,
    QuitRequested,
    ResetRequested,
    RetrieveRequested,
    StatRequested,
    StlsRequested,
    TopRequested,
    UidlRequested,
    Utf8Enabled,
    Wait,
)
from corvus_pop3.languages import Text, choose_language
from corvus_pop3.limits import Limits
from corvus_pop3.responses import TEXT_OF_CODE, ResponseCode, format_response
from corvus_pop3.values import TLSInfo, is_timestamp

S, V = State, Verb

_Credentials = LoginOffered | ApopOffered | AuthStarted | AuthResponse
_Owed = StlsRequested | _Credentials | RetrieveRequested | TopRequested | QuitRequested

_CREDENTIALS = (LoginOffered, ApopOffered, AuthStarted, AuthResponse)
_MESSAGES = (RetrieveRequested, TopRequested)
_LOGIN_VERBS = frozenset({V.USER, V.PASS, V.APOP, V.AUTH})


@final
class ServerConnection(Speaker):
    """
    One POP3 session seen from the server; moves no octets itself.

    Args:
        policy: What is offered; shared by all connections.
        limits: What the peer may cost.
        tls: Facts about the channel if TLS is active from the start (port 995).
        timestamp: Offers APOP and stands in the greeting, such as ``<1896.697@host.example>``; it
            "MUST be different each time the POP3 server issues a banner greeting"
            (:rfc:`1939#section-7`).  ``None``, the default: no APOP.

    Raises:
        LocalProtocolError: *timestamp* is not a message identifier.
    """

    def __init__(
        self,
        policy: Policy = Policy(),
        *,
        limits: Limits = Limits(),
        tls: TLSInfo | None = None,
        timestamp: str | None = None,
    ) -> None:
        if timestamp is not None and not is_timestamp(timestamp):
            raise LocalProtocolError(f"not a timestamp: {timestamp!r}")
        super().__init__(S.AUTHORIZATION, limits, tls)
        self.policy = policy
        self._owed: _Owed | None = None
        self._user: str | None = None
        self._failed_logins = 0
        self._maildrop = Maildrop()
        self._expire = policy.expire
        self._login_delay = policy.login_delay
        self._listing: Iterator[str] | None = None
        self._writer: MessageWriter | None = None
        # "Clients discover server support of APOP by the presence in the greeting banner of an
        # initial challenge enclosed in angle brackets" (RFC 2449 §6): no challenge where no login.
        self._timestamp = timestamp if self._login_possible else None
        greeting = " ".join(part for part in (policy.greeting, self._timestamp) if part)
        self._queue(format_response(True, greeting))

    # Events.

    def next_event(self) -> Event | Wait:
        """
        Say what happened next, or what you must do before anything can.

        Raises:
            RemoteProtocolError: The client is beyond repair; its reply is queued.  Write
                `data_to_send`, then close.
        """
        while True:
            if self._state is S.CLOSED or (self._state is S.TLS and self._eof):
                self._state = S.CLOSED
                return ConnectionEnded()
            if self._owed is not None or self._state is S.TLS:
                return PAUSED
            if self._listing is not None:
                self._queue_slice(self._listing)
                return ListingContinued()
            line = self._take_line()
            if line is None:
                if not self._eof:
                    return NEED_DATA
                # "If a session terminates for some reason other than a client-issued QUIT command,
                # the POP3 session does NOT enter the UPDATE state and MUST not remove any messages
                # from the maildrop" (RFC 1939 §6).
                self._state = S.CLOSED
            else:
                event = self._response(line) if self._state is S.SASL else self._command(line)
                if event is not None:
                    return event

    # Answers.

    def accept(self, text: str | None = None) -> None:
        """
        Answer `StlsRequested` (the handshake is yours to do next) or `QuitRequested` (it is done).

        Octets behind STLS are an attack: then the answer is -ERR, and `closing` is true.

        Args:
            text: For people, instead of the usual words.

        Raises:
            LocalProtocolError: Neither of the two is unanswered, or *text* cannot be sent.
        """
        match self._owed:
            case StlsRequested():
                reply = self._format(True, Text.BEGIN_TLS, text)
                self._owed = None
                if len(self._buffer):
                    # "Once a client issues a STLS command, it MUST NOT issue further commands until
                    # a server response is seen and the TLS negotiation is complete" (RFC 2595 §4):
                    # a man in the middle would speak with the client's voice (CVE-2011-0411).
                    self._buffer.clear()
                    self._goodbye(self._format(False, Text.OCTETS_BEHIND_STLS))
                else:
                    self._queue(reply)
                    self._enter(S.TLS)
            case QuitRequested():
                reply = self._format(True, Text.SIGNING_OFF, text, count=self._maildrop.count)
                self._owed = None
                self._goodbye(reply)
            case _:
                raise LocalProtocolError(f"accept() does not answer {self._owed}")

    def open(
        self,
        *,
        sizes: Sequence[int],
        uids: Sequence[str],
        text: str | None = None,
        expire: Expire | None = None,
        login_delay: int | None = None,
    ) -> None:
        """
        Let the client in: the maildrop is locked, and this is what it holds.

        Args:
            sizes: Octets of each message as RETR sends it, see `wire_size`; message 1 first.
            uids: The unique-id of each message: 1 to 70 of ``!`` to ``~``, the same for a message in
                every session, and never that of another one.
            text: For people, instead of the number of messages.
            expire: This user's days of retention, for CAPA.
            login_delay: This user's seconds between logins, for CAPA.

        Raises:
            LocalProtocolError: No login is unanswered, or a value that cannot be.
        """
        if not isinstance(self._owed, _CREDENTIALS):
            raise LocalProtocolError(f"open() does not answer {self._owed}")
        try:
            check_announced(expire, login_delay)
        except ValueError as error:
            raise LocalProtocolError(str(error)) from None
        maildrop = Maildrop(sizes, uids)
        reply = self._format(
            True, Text.MAILDROP, text, count=maildrop.count, octets=maildrop.octets
        )
        self._owed = None
        self._maildrop = maildrop
        self._expire = self._expire if expire is None else expire
        self._login_delay = self._login_delay if login_delay is None else login_delay
        self._queue(reply)
        self._enter(S.TRANSACTION)

    def challenge(self, octets: bytes) -> None:
        """
        Answer `AuthStarted` or `AuthResponse` with a challenge; `AuthResponse` comes next.

        Data that goes with success is a challenge too: the client answers with ``b""``, and then
        you `open`.

        Raises:
            LocalProtocolError: No SASL exchange is unanswered.
        """
        if not isinstance(self._owed, AuthStarted | AuthResponse):
            raise LocalProtocolError(f"challenge() does not answer {self._owed}")
        self._owed = None
        self._queue(b"+ " + base64.b64encode(octets) + b"\r\n")
        self._enter(S.SASL)

    def reject(self, text: str | None = None, *, code: ResponseCode | None = None) -> None:
        """
        Refuse what was asked, with -ERR.

        Args:
            text: For people; ASCII unless the client asked for UTF8 or a language.
            code: Why, for programs.  Refused credentials without one get ``AUTH``, which is what
                AUTH-RESP-CODE promises; they count (`Limits.failed_logins`), and the last one ends
                the session.

        Raises:
            LocalProtocolError: Nothing is unanswered, the message has begun, or *text* cannot be
                sent.
        """
        owed = self._owed
        if owed is None or self._writer is not None:
            raise LocalProtocolError(f"reject() does not answer {owed}")
        if isinstance(owed, _CREDENTIALS) and code is None:
            code = ResponseCode.AUTH
        reply = self._format(False, TEXT_OF_CODE[code], text, code)
        self._owed = None
        if isinstance(owed, _CREDENTIALS) and code is ResponseCode.AUTH:
            self._failed_logins += 1
            if self._failed_logins >= self.limits.failed_logins:
                self._goodbye(reply)
                return
        self._queue(reply)
        self._enter(REFUSED[self._state])

    def chunk(self, octets: bytes) -> bool:
        """
        Send the next octets of the message that RETR or TOP asked for, as it is stored.

        Line ends become CRLF, dots are stuffed, and TOP is cut: all of it in constant memory,
        wherever you cut the message.  Write `data_to_send` between two chunks.

        Returns:
            Whether more octets are wanted; False once TOP has its lines.

        Raises:
            LocalProtocolError: No message was asked for.
        """
        writer = self._begin()
        self._queue(writer.feed(octets))
        return not writer.done

    def end(self) -> None:
        """
        End the message; without a chunk before, it is empty.

        Raises:
            LocalProtocolError: No message was asked for.
        """
        self._queue(self._begin().finish())
        self._owed = self._writer = None

    def close(self, reason: str = "", *, code: ResponseCode | None = None) -> None:
        """
        End the session from our side: -ERR with *reason*, or nothing without one.

        Say nothing when the time of `timeout` is over: "the server should close the TCP connection
        without removing any messages or sending any response to the client" (:rfc:`1939#section-3`).
        Within a message nothing is said either: the client must see that it is cut.

        Raises:
            LocalProtocolError: *reason* cannot be sent.
        """
        within = self._writer is not None or self._listing is not None
        if reason and not within and self._state is not S.TLS:
            self._queue(self._format(False, Text.GOODBYE, reason, code))
        self._enter(S.CLOSED)

    def start_tls(self, info: TLSInfo) -> None:
        """
        The handshake succeeded: what was said in clear is forgotten (:rfc:`2595#section-4`).

        That includes the timestamp of the greeting, which a man in the middle may have chosen: no
        APOP behind STLS.

        Raises:
            LocalProtocolError: No handshake was due.
        """
        if not self.tls_pending:
            raise LocalProtocolError("no STLS is pending")
        self._tls = info
        self._user = self._language = self._timestamp = None
        self._enter(S.AUTHORIZATION)

    # What may be looked at.

    @property
    def deleted(self) -> frozenset[int]:
        """Numbers of the messages marked as deleted."""
        return frozenset(self._maildrop.deleted)

    # Private: one line of the client's.

    def _response(self, line: bytes) -> Event:
        """A line of a SASL exchange (RFC 5034 §4)."""
        try:
            if line == b"*":
                raise BadCommand(Text.CANCELLED)
            self._owed = event = AuthResponse(response=from_base64(line))
        except BadCommand as bad:
            self._refuse(bad.text)
            return AuthCancelled()
        return event

    def _command(self, line: bytes) -> Event | None:
        verb = None
        try:
            verb, arguments = parse_command(line)
            if verb not in ACCEPTED[self._state]:
                raise BadCommand(Text.WRONG_STATE)
            if verb in _LOGIN_VERBS and not self._login_possible:
                # Refused before a name is looked at, and before PASS could follow it in clear.
                raise BadCommand(Text.TLS_FIRST)
            event = self._OBEY[verb](self, *arguments)
        except BadCommand as bad:
            return CommandRejected(verb=verb, reply=self._refuse(bad.text, **bad.filling))
        if verb is not V.AUTH:  # which may be cancelled and started for ever
            self._rejected = 0
        return event

    # Private: RFC 1939 §5 and §6, the TRANSACTION and UPDATE states.

    def _quit(self) -> Event | None:
        if self._state is not S.TRANSACTION:
            self._goodbye(self._format(True, Text.GOODBYE))
            return None
        numbers = tuple(sorted(self._maildrop.deleted))
        uids = tuple(self._maildrop.uids[number - 1] for number in numbers)
        self._owed = event = QuitRequested(delete=numbers, uids=uids)
        self._enter(S.UPDATE)
        return event

    def _stat(self) -> Event:
        # "Minimal implementations should just end that line of the response with a CRLF pair."
        self._queue(b"+OK %d %d\r\n" % (self._maildrop.count, self._maildrop.octets))
        return StatRequested()

    def _list(self, digits: bytes | None = None) -> Event:
        drop = self._maildrop
        if digits is None:
            self._ok(Text.LISTING, count=drop.count, octets=drop.octets)
            self._start_listing(drop.scan_listings())
            return ListRequested(number=None)
        number = drop.message(digits)
        self._queue(b"+OK %d %d\r\n" % (number, drop.sizes[number - 1]))
        return ListRequested(number=number)

    def _retr(self, digits: bytes) -> Event:
        drop = self._maildrop
        number = drop.message(digits)
        self._owed = event = RetrieveRequested(
            number=number, uid=drop.uids[number - 1], size=drop.sizes[number - 1]
        )
        return event

    def _dele(self, digits: bytes) -> Event:
        number = self._maildrop.message(digits)
        # "The POP3 server does not actually delete the message until the POP3 session enters the
        # UPDATE state" (RFC 1939 §5).
        self._maildrop.delete(number)
        self._ok(Text.DELETED, number=number)
        return DeleteRequested(number=number, uid=self._maildrop.uids[number - 1])

    def _noop(self) -> Event:
        self._ok(Text.NOTHING_DONE)
        return NoopRequested()

    def _rset(self) -> Event:
        self._maildrop.reset()
        self._ok(Text.MAILDROP, count=self._maildrop.count, octets=self._maildrop.octets)
        return ResetRequested()

    def _start_listing(self, lines: Iterator[str]) -> None:
        self._listing = lines
        self._queue_slice(lines)

    def _queue_slice(self, lines: Iterator[str]) -> None:
        taken = list(islice(lines, self.limits.listing_slice))
        self._queue("".join(taken).encode())
        if len(taken) < self.limits.listing_slice:
            self._listing = None
            self._queue(b".\r\n")

    def _begin(self) -> MessageWriter:
        if not isinstance(self._owed, _MESSAGES):
            raise LocalProtocolError(f"no message was asked for: {self._owed}")
        if self._writer is None:
            if isinstance(self._owed, TopRequested):
                self._writer = MessageWriter(self._owed.lines)
                self._ok(Text.TOP)
            else:
                self._writer = MessageWriter()
                self._ok(Text.MESSAGE, octets=self._owed.size)
        return self._writer

    # Private: RFC 1939 §7, the optional commands.

    def _top(self, digits: bytes, lines: bytes) -> Event:
        drop = self._maildrop
        number = drop.message(digits)
        self._owed = event = TopRequested(
            number=number,
            uid=drop.uids[number - 1],
            size=drop.sizes[number - 1],
            lines=int(lines),
        )
        return event

    def _uidl(self, digits: bytes | None = None) -> Event:
        drop = self._maildrop
        if digits is None:
            self._ok(Text.UNIQUE_IDS)
            self._start_listing(drop.unique_id_listings())
            return UidlRequested(number=None)
        number = drop.message(digits)
        self._queue(b"+OK %d %s\r\n" % (number, drop.uids[number - 1].encode()))
        return UidlRequested(number=number)

    @property
    def _login_possible(self) -> bool:
        return self._tls is not None or not self.policy.require_tls

    def _user_given(self, name: bytes) -> Event | None:
        if not self.policy.user:
            raise BadCommand(Text.NOT_OFFERED)
        self._user = self._decode(name)
        # "Servers that answer -ERR to the USER command are giving potential attackers clues about
        # which names are valid" (RFC 1939 §13).
        self._ok(Text.NAME_NOTED)
        self._enter(S.PASSWORD)
        return None

    def _pass(self, password: bytes) -> Event:
        user, self._user = self._user, None
        assert user is not None, "the state PASSWORD is entered with a name"
        self._owed = event = LoginOffered(user=user, password=self._decode(password))
        self._enter(S.AUTHORIZATION)
        return event

    def _apop(self, name: bytes, digest: bytes) -> Event:
        if self._timestamp is None:
            raise BadCommand(Text.NOT_OFFERED)
        user = self._decode(name)
        self._owed = event = ApopOffered(
            user=user, digest=digest.decode("ascii"), timestamp=self._timestamp
        )
        self._enter(S.AUTHORIZATION)
        return event

    def _decode(self, octets: bytes) -> str:
        # "The server MUST reject UTF-8 usernames or passwords that fail to comply with the formal
        # syntax in UTF-8" (RFC 6856 §2.2).
        try:
            return octets.decode("utf-8" if self.policy.utf8_user else "ascii")
        except UnicodeDecodeError:
            raise BadCommand(Text.NOT_UTF8) from None

    # Private: the extensions.

    def _capa(self) -> Event:
        capabilities = offer(
            self.policy,
            login=self._login_possible,
            stls=self._stls_possible,
            transaction=self._state is S.TRANSACTION,
            expire=self._expire,
            login_delay=self._login_delay,
        )
        self._ok(Text.CAPABILITIES)
        self._queue(b"".join(line + b"\r\n" for line in capabilities.lines()) + b".\r\n")
        self._enter(ACCEPTED[self._state][V.CAPA])
        return CapabilitiesRequested()

    @property
    def _stls_possible(self) -> bool:
        """Whether `_stls` would say yes: CAPA announces nothing that would be refused."""
        before = V.STLS in ACCEPTED[self._state] and self._tls is None and not self._utf8
        return self.policy.stls and before

    def _stls(self) -> Event:
        if not self.policy.stls:
            raise BadCommand(Text.NOT_OFFERED)
        if self._tls is not None:
            raise BadCommand(Text.TLS_ACTIVE)
        if self._utf8:
            # "servers MAY ... enforce this by rejecting with an -ERR response an "STLS" command
            # issued subsequent to a successful "UTF8" command" (RFC 6856 §2.1).
            raise BadCommand(Text.STLS_AFTER_UTF8)
        self._owed = event = StlsRequested()
        self._enter(S.AUTHORIZATION)
        return event

    def _auth(self, mechanism: bytes, initial: bytes | None = None) -> Event:
        name = mechanism.decode("ascii").upper()
        if name not in self.policy.mechanisms:
            raise BadCommand(Text.NO_MECHANISM)
        # RFC 5034 §4: an empty initial response is sent as "=", which is not the same as none.
        octets = b"" if initial == b"=" else None if initial is None else from_base64(initial)
        self._owed = event = AuthStarted(mechanism=name, initial=octets)
        self._enter(S.AUTHORIZATION)
        return event

    def _utf8_mode(self) -> Event:
        if not self.policy.utf8:
            raise BadCommand(Text.NOT_OFFERED)
        self._utf8 = True
        self._ok(Text.UTF8_MODE)
        self._enter(ACCEPTED[self._state][V.UTF8])
        return Utf8Enabled()

    def _lang(self, wanted: bytes | None = None) -> Event:
        if not self.policy.languages:
            raise BadCommand(Text.NOT_OFFERED)
        if wanted is None:
            self._ok(Text.LANGUAGES)
            for language in self.policy.languages:
                self._queue(f"{language.tag} {language.name}\r\n".encode())
            self._queue(b".\r\n")
        else:
            chosen = choose_language(wanted.decode("ascii"), self.policy.languages)
            if chosen is None:
                raise BadCommand(Text.NO_LANGUAGE)
            self._language = chosen
            # "a +OK response followed by a single space, the exact language tag selected, and
            # another space" (RFC 6856 §3.2).
            reply = f"{chosen.tag} {chosen.say(Text.LANGUAGE)}"
            self._queue(format_response(True, reply, utf8=True))
        self._enter(ACCEPTED[self._state][V.LANG])
        return LanguageRequested(tag=None if wanted is None else wanted.decode("ascii"))

    #: What each verb does; `ACCEPTED` has said by then that it may be done.
    _OBEY: ClassVar[Mapping[Verb, Callable[..., Event | None]]] = {
        V.QUIT: _quit,
        V.STAT: _stat,
        V.LIST: _list,
        V.RETR: _retr,
        V.DELE: _dele,
        V.NOOP: _noop,
        V.RSET: _rset,
        V.TOP: _top,
        V.UIDL: _uidl,
        V.USER: _user_given,
        V.PASS: _pass,
        V.APOP: _apop,
        V.CAPA: _capa,
        V.STLS: _stls,
        V.AUTH: _auth,
        V.UTF8: _utf8_mode,
        V.LANG: _lang,
    }
