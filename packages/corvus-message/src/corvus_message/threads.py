"""What makes messages a conversation: identifiers and base subjects (RFC 5322 §3.6.4, RFC 5256)."""

from __future__ import annotations

import re
from typing import Final

from corvus_message.charsets import encode_text
from corvus_message.part import Part
from corvus_message.words import decode_words

#   msg-id = [CFWS] "<" id-left "@" id-right ">" [CFWS]        RFC 5322 §3.6.4
# Anything in brackets is taken: identifiers without "@" or with spaces are sent, and answered.
_MESSAGE_ID: Final = re.compile(rb'<((?:"(?:[^"\\]++|\\.)*+"|[^<>"])*+)>', re.DOTALL)
_QUOTED_LEFT: Final = re.compile(rb'"((?:[^"\\]++|\\.)*+)"(?=@)', re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
# obs-id-left and obs-id-right have white space and comments around their words (RFC 5322 §4.5.4).
_NO_PART_OF_ID: Final = re.compile(rb"[ \t\r\n]++|\([^()]*+\)")

#: Identifiers of one References field that are looked at; mail programs cut theirs near 20.
_MOST_REFERENCES: Final = 1_000


def message_ids(value: bytes | str) -> list[str]:
    """
    The identifiers of a Message-ID, References or In-Reply-To field, without their brackets.

    Quotes that change nothing are removed, so that the two spellings of :rfc:`5256#section-3`
    compare equal; words between the identifiers are skipped.

    >>> message_ids('<"a1"@x> <b@y> your message of Friday')
    ['a1@x', 'b@y']
    """
    octets = encode_text(value) if isinstance(value, str) else value
    found: list[str] = []
    for match in _MESSAGE_ID.finditer(octets):
        identifier = _NO_PART_OF_ID.sub(b"", match[1])
        if b'"' in identifier:
            identifier = _QUOTED_LEFT.sub(
                lambda quoted: _ESCAPED.sub(rb"\1", quoted[1]), identifier, count=1
            )
        if identifier:
            found.append(identifier.decode("utf-8", "replace"))
            if len(found) == _MOST_REFERENCES:
                break
    return found


def message_id(part: Part) -> str | None:
    """The message's own identifier without brackets; ``None`` if it has none."""
    value = part.field(b"message-id")
    found = message_ids(value) if value else []
    return found[0] if found else None


def references(part: Part) -> list[str]:
    """
    The identifiers of the messages this one answers, oldest first, each once.

    Those of References or, where it has none, the first of In-Reply-To (:rfc:`5256#section-3`).

    >>> from corvus_message import parse
    >>> references(parse(b"References: <a@x> <b@x> <a@x>\\nIn-Reply-To: <c@x>\\n\\n"))
    ['a@x', 'b@x']
    """
    found: list[str] = []
    value = part.field(b"references")
    if value:
        found = message_ids(value)
    if not found:
        value = part.field(b"in-reply-to")
        found = message_ids(value)[:1] if value else []
    return list(dict.fromkeys(found))


# subj-blob = "[" *BLOBCHAR "]" *WSP ; subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
_BLOB: Final = re.compile(r"\[[^\[\]]*+\] *+")
_REFWD: Final = re.compile(r"(?:re|fwd?) *+(?:\[[^\[\]]*+\] *+)?:", re.IGNORECASE | re.ASCII)
_BLANKS: Final = re.compile(r"[ \t\r\n]+")


def _strip_leaders(text: str, start: int, end: int) -> tuple[int, bool]:
    """Steps 3 to 5: where the subject begins behind its leaders and blobs; was there a refwd?"""
    answered = False
    while True:
        while start < end and text[start] == " ":
            start += 1
        blobs: list[int] = []
        place = start
        while match := _BLOB.match(text, place, end):
            place = match.end()
            blobs.append(place)
        match = _REFWD.match(text, place, end)
        if match is not None:
            start = match.end()
            answered = True
            continue
        # "If there is prefix text ... that matches the subj-blob ABNF, and removing that prefix
        # leaves a non-empty subj-base, then remove the prefix text" (RFC 5256 §2.1 (4)).
        if blobs and place == end:
            blobs.pop()
        return (blobs[-1] if blobs else start), answered


def split_subject(subject: bytes | str) -> tuple[str, bool]:
    """
    The base subject (:rfc:`5256#section-2.1`), and whether the subject is that of a reply or
    forward.  Linear, whatever is nested in it.

    >>> split_subject("Re: [list] Fwd: hello (fwd)")
    ('hello', True)
    """
    text = _BLANKS.sub(" ", decode_words(subject))
    start, end = 0, len(text)
    answered = False
    while True:
        # (2) subj-trailer = "(fwd)" / WSP
        while end > start:
            if text[end - 1] == " ":
                end -= 1
            elif end - start >= 5 and text[end - 5 : end].lower() == "(fwd)":
                end -= 5
                answered = True
            else:
                break
        start, leader = _strip_leaders(text, start, end)
        answered = answered or leader
        # (6) "[fwd:" subject "]"
        if end - start >= 6 and text[end - 1] == "]" and text[start : start + 5].lower() == "[fwd:":
            start += 5
            end -= 1
            answered = True
            continue
        return text[start:end], answered


def base_subject(subject: bytes | str) -> str:
    """
    The subject without ``Re:``, ``Fwd:``, list names and ``(fwd)`` (:rfc:`5256#section-2.1`).

    Upper and lower case stay; whoever compares brings the collation.

    >>> base_subject("=?utf-8?q?Re=3A_caf=C3=A9?="), base_subject("[a] [b]"), base_subject("[Fwd: x]")
    ('café', '[b]', 'x')
    """
    return split_subject(subject)[0]
