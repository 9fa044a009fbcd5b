"""Signing (RFC 6376 §5): one field per signer, one pass over the body for all of them.

What must not be signed is refused with a `SigningError`: a message with no From or with two, and
one with bare CR or LF, which somebody on the way would repair and so break the signature.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final, final

from corvus_dkim import taglist
from corvus_dkim.body_hash import BodyHashes
from corvus_dkim.canonical import relaxed_header
from corvus_dkim.errors import SigningError
from corvus_dkim.header import Header, find_body
from corvus_dkim.key import PrivateKey, to_base64
from corvus_dkim.line_ends import Lines

#: Signed, and once more often than they are there, so that nobody can add another: what a reader is
#: shown, what decides how the body is rendered, and where an answer goes (RFC 6376 §5.4.1, §8.15).
OVERSIGNED: Final = (
    "From", "Reply-To", "Subject", "Date", "To", "Cc", "Message-ID",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
)  # fmt: skip

#: Signed as often as they are there.  Lists and resenders add these on the way, legitimately.
SIGNED: Final = (
    "Sender", "In-Reply-To", "References", "Content-ID", "Content-Description",
    "Content-Disposition", "Resent-Date", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc",
    "Resent-Message-ID", "List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post",
    "List-Subscribe", "List-Post", "List-Owner", "List-Archive",
)  # fmt: skip

_OVERSIGNED: Final = [(name, name.lower().encode("ascii")) for name in OVERSIGNED]
_SIGNED: Final = [(name, name.lower().encode("ascii")) for name in SIGNED]

#: Seconds after which a signature is void: a week outlives every queue, and ends replays (§8.6).
EXPIRES_IN: Final = 7 * 24 * 3600

#: "Each line of characters ... SHOULD be no more than 78 characters, excluding the CRLF"
#: (RFC 5322 §2.1.1).
LINE: Final = 78

#: What cannot be folded; "Each line of characters MUST be no more than 998 characters".
MAX_WORD: Final = 900

#: A header beyond this is no mail; it is held in memory while it arrives.
MAX_HEADER: Final = 16 * 1024 * 1024


@final
class Signer:
    """
    Signs for one domain with one key.

    Put what `sign` returns in front of the message, nothing between and nothing changed.

    Args:
        domain: The ``d=`` tag: who takes responsibility.  DMARC wants the domain of From or one
            above it.  ASCII; "Internationalized domain names MUST be encoded as A-labels".
        selector: The ``s=`` tag: which key.
        key: What `PrivateKey.load` takes: PEM text or octets (PKCS#1, PKCS#8), a key of
            `cryptography`, a `PrivateKey`.
        headers: Names to sign instead of `OVERSIGNED` and `SIGNED`; From has to be among them.
        expires_in: Seconds from the time of signing to ``x=``; ``None`` writes no ``x=``.
        timestamp: The ``t=`` tag instead of the clock, seconds since 1970.
        canonicalization: Of header and body, each ``"relaxed"`` or ``"simple"``.
        identity: The ``i=`` tag, an address within *domain*, its local part may be empty.
        oversign: Whether *headers* are signed once more often than they are there.  Switched off,
            they are signed as listed, in that order, repeats included.
        password: The pass phrase of an encrypted PEM.
        normalise: Whether bare CR and bare LF are taken for CRLF.  Only for a caller who sends
            `corvus_dkim.normalise` of the message; else they are refused.

    Raises:
        KeyFormatError: There is no key to sign with in *key*.
        ValueError: Another argument is not what it should be.
    """

    __slots__ = (
        "_body_form", "_domain", "_expires_in", "_header_form", "_headers", "_identity", "_key", "_listed",
        "_normalise", "_oversign", "_selector", "_timestamp",
    )  # fmt: skip

    def __init__(
        self,
        domain: str,
        selector: str,
        key: Any,
        *,
        headers: Sequence[str] | None = None,
        expires_in: int | None = EXPIRES_IN,
        timestamp: int | None = None,
        canonicalization: tuple[str, str] = ("relaxed", "relaxed"),
        identity: str | None = None,
        oversign: bool = True,
        password: str | bytes | None = None,
        normalise: bool = False,
    ) -> None:
        self._domain = _checked(domain.lower(), taglist.is_domain, "a domain name")
        self._selector = _checked(selector, taglist.is_selector, "a selector")
        if len(domain) + len(selector) + len("._domainkey.") > taglist.MAX_NAME:
            raise ValueError("selector and domain make a name that is too long for DNS")
        self._key = PrivateKey.load(key, password)
        self._listed = () if headers is None else _field_names(headers)
        self._headers = (
            None
            if headers is None
            else {name: name.lower().encode("ascii") for name in self._listed}
        )
        if expires_in is not None and expires_in <= 0:
            raise ValueError("a signature expires in a positive number of seconds, or never: None")
        self._expires_in = expires_in
        if timestamp is not None and not 0 <= timestamp < 10**12:
            raise ValueError("a timestamp has at most 12 digits")
        self._timestamp = timestamp
        self._header_form, self._body_form = _forms(canonicalization)
        self._identity = None if identity is None else _identity(identity, self._domain)
        self._oversign = oversign
        self._normalise = normalise

    def __repr__(self) -> str:
        return f"Signer({self._domain!r}, {self._selector!r}, {self._key!r})"

    @property
    def domain(self) -> str:
        """The ``d=`` tag."""
        return self._domain

    @property
    def selector(self) -> str:
        """The ``s=`` tag."""
        return self._selector

    @property
    def key(self) -> PrivateKey:
        """The key."""
        return self._key

    def sign(self, message: bytes, *, now: float | None = None) -> bytes:
        """
        Sign *message*.

        Args:
            message: Header, empty line and body, with CRLF.
            now: Seconds since 1970; the clock is read if it is None and there is no *timestamp*.

        Returns:
            ``DKIM-Signature: ...`` with its CRLF, folded.

        Raises:
            SigningError: The message must not be signed; the text says why.
        """
        return sign_with((self,), message, now=now)

    def stream(self, *, now: float | None = None) -> SigningStream:
        """Begin to sign a message that comes in pieces: `SigningStream.update`, then `finish`."""
        return SigningStream((self,), now=now)

    # What the stream asks of a signer.

    def _times(self, now: float | None) -> tuple[int, int | None]:
        signed = self._timestamp
        if signed is None:
            signed = int(time.time() if now is None else now)
        return signed, None if self._expires_in is None else signed + self._expires_in

    def _names(self, header: Header) -> list[str]:
        """The ``h=`` tag for this message, each name as often as it is signed."""
        count, names = header.count, []
        if self._headers is None:
            for name, key in _OVERSIGNED:
                names += [name] * (count(key) + 1)
            for name, key in _SIGNED:
                names += [name] * count(key)
        elif self._oversign:
            for name, key in self._headers.items():
                names += [name] * (count(key) + 1)
        else:
            names += self._listed
        return names

    def _field(self, header: Header, bodies: BodyHashes, now: float | None) -> bytes:
        """The signature field for a message whose header and body hashes are known."""
        names = self._names(header)
        signed, expires = self._times(now)
        words = [
            "v=1;",
            f"a={self._key.algorithm};",
            f"c={self._header_form}/{self._body_form};",
            f"d={self._domain};",
        ]
        if self._identity is not None:
            words.append(f"i={self._identity};")
        words += ["q=dns/txt;", f"s={self._selector};", f"t={signed};"]
        if expires is not None:
            words.append(f"x={expires};")
        # "FWS MAY be included on either side of the colon separator": places to fold at.
        *listed, last = names
        words += [f"{name} :" for name in listed]
        words.append(f"{last};")
        words[-len(names)] = f"h={words[-len(names)]}"
        words += [f"bh={to_base64(bodies.digest(self._body_form))};", "b="]
        return self._signed_field(b"DKIM-Signature", words, header, names)

    def _signed_field(
        self, name: bytes, words: list[str], header: Header, names: Iterable[str]
    ) -> bytes:
        """A field of *words*, folded, its signature over the fields called *names* behind it."""
        value = fold(words, len(name) + 1).encode("ascii")
        positions = header.select([n.lower().encode("ascii") for n in names])
        signed = header.canonical(positions, self._header_form)
        if self._header_form == "simple":
            own = name + b":" + value
        else:
            own = relaxed_header(name, value)[:-2]
        signature = to_base64(self._key.sign(sha256(signed + own).digest()))
        return b"%s:%s%s\r\n" % (name, value, fold_base64(signature, name + b":" + value))


@final
class SigningStream:
    """
    Signs one message that comes in pieces, for one or more signers, in constant memory.

    Only the header is kept.  `update` takes chunks cut anywhere; `finish` returns the fields.
    """

    __slots__ = (
        "_bodies", "_buffer", "_finished", "_header", "_lines", "_now", "_searched", "_signers",
    )  # fmt: skip

    def __init__(self, signers: Sequence[Signer], *, now: float | None = None) -> None:
        if not signers:
            raise ValueError("nobody to sign")
        normalise = {signer._normalise for signer in signers}
        if len(normalise) > 1:
            raise ValueError("signers of one message agree about its line ends")
        self._signers = tuple(signers)
        self._now = now
        self._lines = Lines(normalise=normalise.pop())
        self._buffer = bytearray()
        self._searched = 0
        self._header: Header | None = None
        self._finished = False
        self._bodies = BodyHashes()
        for signer in self._signers:
            self._bodies.want(signer._body_form)

    def update(self, chunk: bytes) -> None:
        """
        Take the next octets.

        Raises:
            SigningError: The header is longer than any mail's.
            ValueError: The message is complete already.
        """
        if self._finished:
            raise ValueError("the message is complete; a stream serves one message")
        self._take(self._lines.update(chunk))

    def _take(self, data: bytes) -> None:
        if self._header is not None:
            self._bodies.update(data)
            return
        buffer = self._buffer
        if not buffer and (whole := find_body(data)) is not None:
            # The whole message in one piece is the usual case: no copy is made of it.
            self._header = Header(data[: whole[0]])
            self._bodies.update(data[whole[1] :])
            return
        buffer += data
        ends = find_body(buffer, self._searched)
        self._searched = len(buffer)
        if ends is not None:
            self._header = Header(bytes(buffer[: ends[0]]))
            body = bytes(buffer[ends[1] :])
            self._buffer = bytearray()
            self._bodies.update(body)
        elif len(buffer) > MAX_HEADER:
            raise SigningError(f"a header of more than {MAX_HEADER} octets")

    def finish(self) -> bytes:
        """
        The signature fields, one for each signer and in their order, to be put in front.

        Raises:
            SigningError: The message must not be signed; the text says why.
            ValueError: It was called before.
        """
        if self._finished:
            raise ValueError("the message is complete; a stream serves one message")
        self._take(self._lines.finish())
        self._finished = True
        header = self._header
        if header is None:
            header = self._header = Header(bytes(self._buffer))
        if self._lines.bare:
            raise SigningError("the message has a bare CR or LF (RFC 6376 §5.3)")
        authors = header.count(b"from")
        if authors != 1:
            # "The From header field MUST be signed" (§5.4), and which of two (§8.15)?
            raise SigningError(f"the message has {authors} From fields; it needs exactly one")
        self._bodies.finish()
        return b"".join([s._field(header, self._bodies, self._now) for s in self._signers])


def sign_with(signers: Sequence[Signer], message: bytes, *, now: float | None = None) -> bytes:
    """
    Sign *message* with several keys in one pass over its body, as RFC 8463 §6 recommends.

    The fields do not cover each other, so each can be verified alone.

    Returns:
        The fields, in the order of *signers*, each with its CRLF.

    Raises:
        SigningError: The message must not be signed; the text says why.
    """
    stream = SigningStream(signers, now=now)
    stream.update(message)
    return stream.finish()


def fold(words: Iterable[str], used: int) -> str:
    """Join *words* with blanks, and with CRLF and a blank where a line would become too long."""
    pieces: list[str] = []
    for word in words:
        if used + 1 + len(word) > LINE:
            pieces.append("\r\n ")
            used = 1 + len(word)
        else:
            pieces.append(" ")
            used += 1 + len(word)
        pieces.append(word)
    return "".join(pieces)


def fold_base64(text: str, before: bytes) -> bytes:
    """*text* in lines, the first of them behind *before*; whitespace in ``b=`` means nothing."""
    first = max(0, LINE - (len(before) - before.rfind(b"\n") - 1))
    lines = [text[:first]]
    lines += [text[at : at + LINE - 1] for at in range(first, len(text), LINE - 1)]
    return "\r\n ".join(lines).encode("ascii")


def _checked(text: str, grammar: Any, what: str) -> str:
    try:
        good = grammar(text.encode("ascii"))
    except UnicodeEncodeError:
        good = False
    if not good:
        raise ValueError(f"not {what} in ASCII: {text[:80]!r}")
    return text


def _forms(canonicalization: tuple[str, str]) -> tuple[str, str]:
    header, body = canonicalization
    for form in (header, body):
        if form not in ("simple", "relaxed"):
            raise ValueError(f"a canonicalization is simple or relaxed, not {form!r}")
    return header, body


def _field_names(headers: Sequence[str]) -> tuple[str, ...]:
    if isinstance(headers, str):
        raise ValueError("headers is a sequence of names, not one string")
    names = tuple(headers)
    for name in names:
        if not 0 < len(name) <= LINE or any(not "!" <= c <= "~" or c in ":;" for c in name):
            raise ValueError(f"not the name of a field: {name[:80]!r}")
    if "from" not in [name.lower() for name in names]:
        raise ValueError("From has to be signed (RFC 6376 §5.4)")
    return names


def _identity(identity: str, domain: str) -> str:
    """The ``i=`` tag in DKIM-Quoted-Printable."""
    _, at, right = identity.rpartition("@")
    own = right.lower()
    if not at:
        raise ValueError(f"an identity is an address: {identity[:80]!r}")
    _checked(right, taglist.is_domain, "a domain name")
    if own != domain and not own.endswith("." + domain):
        # Not endswith(domain): notexample.com is not within example.com.
        raise ValueError(f"the identity {identity[:80]!r} is not within {domain}")
    if any(c < " " or c == "\x7f" for c in identity):
        raise ValueError(f"an identity has no control characters: {identity[:80]!r}")
    quoted = taglist.quote_printable(identity.encode("utf-8")).decode("ascii")
    if len(quoted) > MAX_WORD:
        raise ValueError(f"an identity of {len(quoted)} octets does not fit a line")
    return quoted
