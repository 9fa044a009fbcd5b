"""An SMTP server that does at each step what its script says: for those who must bear it.

It is made of lines and knows no engine of ours, so that what is tested is not tested against itself.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, final


class Do(Enum):
    """What a script may say instead of a reply."""

    DROP = "cut the connection"
    CLOSE = "close the connection as if all had been said"
    SILENCE = "say nothing, for ever"
    GARBAGE = "say what is no SMTP"
    TRICKLE = "send an octet a minute of a reply that never ends"
    NEVER_READ = "stop reading"


#: The steps of a session that a script can name.
STAGES: Final = (
    "connect", "ehlo", "helo", "starttls", "handshake", "ehlo2", "auth", "mail", "rcpt", "data",
    "body", "rset", "quit",
)  # fmt: skip

Answer = bytes | str | Do


@final
@dataclass(slots=True, kw_only=True)
class Script:
    """What a peer does; what it does not name goes well."""

    answers: Mapping[str, Answer | list[Any]] = field(default_factory=dict)
    """By stage; a list is used up one by one, its last for ever.  ``rcpt:LOCAL`` is for one recipient."""
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 10000000", "SMTPUTF8", "DSN")
    context: ssl.SSLContext | None = None
    """With it STARTTLS is offered."""


@final
@dataclass(slots=True, kw_only=True)
class Taken:
    """A message that a peer has said 250 to."""

    mail: str
    recipients: list[str]
    body: bytes
    secure: bool


@final
class ScriptedServer:
    """Makes a protocol for each connection and keeps what was said and taken."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.taken: list[Taken] = []
        self.lines: list[str] = []
        """Every command line, of all connections."""
        self.connections = 0
        self._used: dict[str, int] = {}

    def __call__(self) -> asyncio.Protocol:
        return _Peer(self)

    def answer(self, stage: str) -> Answer | None:
        """What the script says at *stage*, now."""
        found = self.script.answers.get(stage)
        if not isinstance(found, list):
            return found
        used = self._used.get(stage, 0)
        self._used[stage] = used + 1
        answer: Answer = found[min(used, len(found) - 1)]
        return answer


@final
class _Peer(asyncio.Protocol):
    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._transport: Any = None
        self._buffer = b""
        self._body: bytearray | None = None
        self._chunk = 0
        self._last = False
        self._secure = False
        self._deaf = False
        self._mail = ""
        self._recipients: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self._signing_in = False
        self._mailed = False
        self._instead: Answer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._transport is None:
            self._server.connections += 1
            self._transport = transport
            self._say("connect", "220 peer.test ESMTP")
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._instead is not None:  # to the first octets of the handshake
            answer, self._instead = self._instead, None
            self._act(answer)
            self._deaf = True
            return
        self._buffer += data
        while not self._deaf:
            if self._chunk:
                if len(self._buffer) < self._chunk:
                    return
                assert self._body is not None
                self._body += self._buffer[: self._chunk]
                self._buffer, self._chunk = self._buffer[self._chunk :], 0
                if self._last:
                    self._finish(bytes(self._body))
                else:
                    self._transport.write(b"250 2.0.0 more\r\n")
            elif self._body is not None and not self._last:
                end = self._buffer.find(b"\r\n.\r\n")
                start = self._buffer.startswith(b".\r\n")
                if end < 0 and not start:
                    return
                cut, skip = (0, 3) if start else (end + 2, 3)
                body = self._buffer[:cut].replace(b"\r\n..", b"\r\n.")
                self._buffer = self._buffer[cut + skip :]
                self._finish(body[1:] if body.startswith(b"..") else body)
            else:
                line, found, rest = self._buffer.partition(b"\r\n")
                if not found:
                    return
                self._buffer = rest
                self._command(line.decode("utf-8", "replace"))

    def _command(self, line: str) -> None:
        self._server.lines.append(line)
        if self._signing_in:
            self._signing_in = False
            self._say("auth2", "235 2.7.0 welcome")
            return
        word = line.split(" ")[0].upper()
        steps: dict[str, Callable[[str], None]] = {
            "EHLO": self._ehlo, "HELO": self._helo, "STARTTLS": self._starttls, "AUTH": self._auth,
            "MAIL": self._on_mail, "RCPT": self._on_rcpt, "DATA": self._data, "BDAT": self._bdat,
            "RSET": self._rset, "QUIT": self._quit,
        }  # fmt: skip
        step = steps.get(word)
        if step is None:
            self._transport.write(b"500 5.5.2 what?\r\n")
        else:
            step(line)

    def _ehlo(self, line: str) -> None:
        words = [*self._server.script.extensions]
        if self._server.script.context is not None and not self._secure:
            words.append("STARTTLS")
        lines = ["peer.test", *words]
        text = "\r\n".join(
            f"250{' ' if n == len(lines) - 1 else '-'}{each}" for n, each in enumerate(lines)
        )
        self._say("ehlo2" if self._secure else "ehlo", text)

    def _helo(self, line: str) -> None:
        self._say("helo", "250 peer.test")

    def _starttls(self, line: str) -> None:
        if not self._say("starttls", "220 2.0.0 go ahead"):
            return
        self._instead = self._server.answer("handshake")
        if self._instead is None:
            self._deaf = True
            self._transport.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._upgrade())

    async def _upgrade(self) -> None:
        context = self._server.script.context
        assert context is not None
        try:
            self._transport = await asyncio.get_running_loop().start_tls(
                self._transport, self, context, server_side=True
            )
        except OSError:
            self._transport.abort()
            return
        self._secure, self._deaf, self._task = True, False, None
        self.data_received(b"")

    def _auth(self, line: str) -> None:
        self._signing_in = len(line.split(" ")) == 2
        self._say("auth", "334 " if self._signing_in else "235 2.7.0 welcome")

    def _on_mail(self, line: str) -> None:
        self._mail, self._recipients = line[10:].split(">")[0].strip("<"), []
        self._mailed = self._say("mail", "250 2.1.0 fine")

    def _on_rcpt(self, line: str) -> None:
        address = line[8:].split(">")[0].strip("<")
        stage = f"rcpt:{address.rpartition('@')[0]}"
        if stage not in self._server.script.answers:
            stage = "rcpt"
        if not self._mailed:
            self._transport.write(b"503 5.5.1 MAIL first\r\n")
        elif self._say(stage, "250 2.1.5 fine"):
            self._recipients.append(address)

    def _data(self, line: str) -> None:
        if not self._recipients:
            self._transport.write(b"503 5.5.1 RCPT first\r\n")
        elif self._say("data", "354 go ahead"):
            self._body, self._last = bytearray(), False

    def _bdat(self, line: str) -> None:
        words = line.split(" ")
        self._chunk, self._last = int(words[1]), len(words) > 2
        self._body = bytearray() if self._body is None else self._body
        if not self._chunk and self._last:
            self._finish(bytes(self._body))

    def _rset(self, line: str) -> None:
        self._body, self._recipients, self._mailed = None, [], False
        self._say("rset", "250 2.0.0 forgotten")

    def _quit(self, line: str) -> None:
        if self._say("quit", "221 2.0.0 bye"):
            self._transport.close()

    def _finish(self, body: bytes) -> None:
        taken = Taken(mail=self._mail, recipients=self._recipients, body=body, secure=self._secure)
        self._body, self._last, self._recipients, self._mailed = None, False, [], False
        answer = self._server.answer("body")
        kept = answer is None or (not isinstance(answer, Do) and _text(answer).startswith(b"2"))
        # "take" before an act: the mail is kept and the sender does not learn it.
        if kept or self._server.script.answers.get("take"):
            self._server.taken.append(taken)
        if answer is None:
            self._transport.write(b"250 2.0.0 kept\r\n")
        else:
            self._act(answer)

    def _say(self, stage: str, usual: str) -> bool:
        """Do what the script says, or say what is *usual*; whether it went well."""
        answer = self._server.answer(stage)
        if answer is None:
            self._transport.write(usual.encode() + b"\r\n")
            return True
        return self._act(answer)

    def _act(self, answer: Answer) -> bool:
        if not isinstance(answer, Do):
            octets = _text(answer)
            self._transport.write(octets)
            return octets[:1] in (b"2", b"3")
        self._deaf = answer is not Do.GARBAGE
        if answer is Do.DROP:
            self._transport.abort()
        elif answer is Do.CLOSE:
            self._transport.close()
        elif answer is Do.GARBAGE:
            self._transport.write(b"\x00\xff<html>no SMTP here\r\n")
        elif answer is Do.NEVER_READ:
            self._transport.pause_reading()
        elif answer is Do.TRICKLE:
            self._task = asyncio.get_running_loop().create_task(self._trickle())
        return False

    async def _trickle(self) -> None:
        while True:
            self._transport.write(b"2")
            await asyncio.sleep(60)


def _text(answer: bytes | str) -> bytes:
    return answer if isinstance(answer, bytes) else answer.encode() + b"\r\n"
