"""Encoded words, both ways (RFC 2047).

Decoding is lenient where mail is wrong (spaces in a Q word, missing padding, words glued to their
neighbours, a character cut in two between words) and leaves alone what it cannot read.  Encoding
is strict: words of at most 75 octets, cut between characters, made of octets that are legal in
every place where a word may stand.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from corvus_message import charsets
from corvus_message.transfer import decode_base64

#   encoded-word = "=?" charset "?" encoding "?" encoded-text "?="      RFC 2047 §2
#   charset may carry "*" language                                     RFC 2231 §5
_WORD: Final = re.compile(rb"=\?([^?\s*]{1,64})(?:\*[^?\s]{0,64})?\?([BbQq])\?([^?]*)\?=")
_Q_OCTET: Final = re.compile(rb"=([0-9A-Fa-f]{2})")
_BLANK: Final = re.compile(rb"[ \t\r\n]*")

#: "An 'encoded-word' may not be more than 75 characters long" (RFC 2047 §2).
LONGEST_WORD: Final = 75

# RFC 2047 §5 (3), the narrowest of the three sets: safe in a phrase, a comment and a text.
_Q_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


def _decode_text(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"Bb":
        return decode_base64(text)
    # The "_" "always represents hexadecimal 20", whatever the charset (RFC 2047 §4.2 (2)).
    return _Q_OCTET.sub(lambda m: binascii.unhexlify(m[1]), text.replace(b"_", b" "))


def decode_words(value: bytes | str) -> str:
    """
    The text of an unstructured value or phrase, its encoded words decoded.

    White space between two encoded words is dropped, as RFC 2047 §6.2 wants it.  A word in a
    charset nobody knows stays as it is.  Control characters a word may hide, line ends among
    them, are in the result: it is text for people, not a field value; `encode_words` and `build`
    are the way back.

    >>> decode_words(b"=?ISO-8859-1?Q?a?= =?UTF-8?B?w6Q=?= b")
    'aä b'
    """
    octets = charsets.encode_text(value) if isinstance(value, str) else value
    if b"=?" not in octets:
        return charsets.decode_unlabelled(octets)
    pieces: list[str] = []
    pending = bytearray()  # octets of adjacent words of one charset: characters may be cut in two
    pending_charset = ""
    after_word = False
    position = 0
    for match in _WORD.finditer(octets):
        charset = match[1].decode("ascii", "replace")
        codec = charsets.codec(charset)
        if codec is None:
            continue
        gap = octets[position : match.start()]
        if not (after_word and _BLANK.fullmatch(gap)):
            if pending:
                pieces.append(charsets.decode_charset(bytes(pending), pending_charset))
                pending.clear()
            pieces.append(charsets.decode_unlabelled(gap))
        elif pending and codec != charsets.codec(pending_charset):
            pieces.append(charsets.decode_charset(bytes(pending), pending_charset))
            pending.clear()
        pending += _decode_text(match[2], match[3])
        pending_charset = charset
        after_word = True
        position = match.end()
    if pending:
        pieces.append(charsets.decode_charset(bytes(pending), pending_charset))
    pieces.append(charsets.decode_unlabelled(octets[position:]))
    return "".join(pieces)


def _q_encode(octets: bytes) -> str:
    return "".join(chr(o) if o in _Q_SAFE else "_" if o == 0x20 else f"={o:02X}" for o in octets)


def encode_word_list(text: str, *, first: int = LONGEST_WORD) -> list[str]:
    """
    *text* as encoded words in UTF-8, none longer than 75 octets (the first no longer than
    *first*, for the line it shares with a field name), none ending inside a character.

    Q where at least half of the octets stay readable, else B.  Unpaired surrogates, which UTF-8 cannot carry,
    become U+FFFD.
    """
    text = text.encode("utf-8", "replace" if text.isascii() else "surrogatepass").decode(
        "utf-8", "replace"
    )
    octets = text.encode()
    plain = sum(o in _Q_SAFE or o == 0x20 for o in octets)
    use_q = 2 * plain >= len(octets)
    overhead = len("=?utf-8?q??=")
    room = max(first, overhead + 12) - overhead
    words: list[str] = []
    chunk = bytearray()
    cost = 0  # of the Q encoding; B is computed from the length

    def flush() -> None:
        nonlocal room, cost
        data = bytes(chunk)
        body = _q_encode(data) if use_q else binascii.b2a_base64(data, newline=False).decode()
        words.append(f"=?utf-8?{'q' if use_q else 'b'}?{body}?=")
        chunk.clear()
        cost = 0
        room = LONGEST_WORD - overhead

    for character in text:
        # "each 'encoded-word' MUST represent an integral number of characters" (RFC 2047 §5).
        data = character.encode()
        price = sum(1 if o in _Q_SAFE or o == 0x20 else 3 for o in data)
        size = cost + price if use_q else (len(chunk) + len(data) + 2) // 3 * 4
        if chunk and size > room:
            flush()
        chunk += data
        cost += price
    if chunk:
        flush()
    return words


def encode_words(text: str) -> str:
    """
    *text* as it may stand in an unstructured field: itself if it is printable ASCII, else as
    encoded words separated by one space, which decoding drops again.

    >>> encode_words("plain"), encode_words("caf\\u00e9")
    ('plain', '=?utf-8?q?caf=C3=A9?=')

    For any text that UTF-8 can carry, ``decode_words(encode_words(text)) == text``; line ends and
    other controls are carried inside the words and so can never end a line.
    """
    if is_plain(text):
        return text
    return " ".join(encode_word_list(text))


_PLAIN: Final = re.compile(r"(?:[!-~]+(?: [!-~]+)*)?")


def is_plain(text: str) -> bool:
    """Whether *text* says in a field what it says here: printable ASCII, single inner spaces, and
    nothing that would be taken for an encoded word."""
    return "=?" not in text and _PLAIN.fullmatch(text) is not None
