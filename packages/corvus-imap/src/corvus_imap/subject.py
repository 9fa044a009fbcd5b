"""The base subject: a subject without "Re:", "Fwd:", "[list]" and their kin (RFC 5256 §2.1).

"All servers and disconnected clients MUST use exactly this algorithm" (RFC 5256 §2.1), so it
follows the RFC's steps and keeps their numbers.  One pass with two indices: no step rescans what
another has passed, so a subject of a million brackets takes a million steps, not their square.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["BaseSubject", "base_subject", "split_subject"]

# Step 1: "Convert all tabs and continuations to space.  Convert all multiple spaces to a single
# space."
_SPACES: Final = re.compile(r"[ \t\r\n]+")

#   subj-blob  = "[" *BLOBCHAR "]" *WSP       BLOBCHAR = any but "[" and "]"
#   subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
_BLOBS: Final = re.compile(r"(?:\[[^\[\]]*\] ?)*+")
_REFWD: Final = re.compile(r"(?:re|fwd?) ?(?:\[[^\[\]]*\] ?)?:", re.IGNORECASE | re.ASCII)


class BaseSubject(NamedTuple):
    """A subject taken apart."""

    text: str
    """The base subject, in the letters it was written with; `casemap` compares."""
    is_reply: bool
    """Whether a "Re:", "Fwd:", "(fwd)" or "[fwd: ...]" was removed (RFC 5256 §3)."""


def split_subject(subject: str) -> BaseSubject:
    """
    Extract the base subject and say whether the message is a reply or a forward.

    Args:
        subject: The text of the Subject field, its encoded words decoded.

    >>> split_subject("Re: [corvus] Fwd: a plan (fwd)")
    BaseSubject(text='a plan', is_reply=True)
    >>> split_subject("[corvus] a plan")
    BaseSubject(text='a plan', is_reply=False)
    """
    text = _SPACES.sub(" ", subject)
    start, end, is_reply = 0, len(text), False
    while True:
        # (2) "Remove all trailing text of the subject that matches the subj-trailer ABNF; repeat
        # until
        #     no more matches are possible":  subj-trailer = "(fwd)" / WSP
        while end > start:
            if text[end - 1] == " ":
                end -= 1
            elif end - start >= 5 and text[end - 5 : end].lower() == "(fwd)":
                end, is_reply = end - 5, True
            else:
                break
        start, replied = _skip_leaders(text, start, end)
        is_reply |= replied
        # (6) "If the resulting text begins with the subj-fwd-hdr ABNF and ends with the
        # subj-fwd-trl ABNF,
        #     remove the subj-fwd-hdr and subj-fwd-trl and repeat from step (2)."
        if end - start < 6 or text[end - 1] != "]" or text[start : start + 5].lower() != "[fwd:":
            return BaseSubject(text[start:end], is_reply)
        start, end, is_reply = start + 5, end - 1, True


def _skip_leaders(text: str, start: int, end: int) -> tuple[int, bool]:
    """Steps (3) to (5): where the prefixes end, and whether one of them was a Re: or a Fwd:."""
    is_reply = False
    while start < end:
        if text[start] == " ":
            start += 1
            continue
        blobs = _BLOBS.match(text, start, end)
        after = blobs.end() if blobs else start
        # (3) subj-leader = (*subj-blob subj-refwd) / WSP
        if refwd := _REFWD.match(text, after, end):
            start, is_reply = refwd.end(), True
            continue
        # (4) "If there is prefix text of the subject that matches the subj-blob ABNF, and removing
        # that
        #     prefix leaves a non-empty subj-base, then remove the prefix text."  Nothing that (3)
        #     could remove stands behind these blobs, so they go in one step; if nothing else is
        #     left, the last stays.
        if after >= end > start:
            after = max(start, text.rfind("[", start, end))
        return after, is_reply
    return start, is_reply


def base_subject(subject: str) -> str:
    """
    Return the base subject of *subject* (its encoded words decoded): :rfc:`5256#section-2.1`.

    >>> base_subject("RE: Fw: [corvus]  a \\t plan (fwd)")
    'a plan'
    >>> base_subject("[PATCH]")
    '[PATCH]'
    >>> base_subject("[fwd: Re: lunch]")
    'lunch'
    """
    return split_subject(subject).text
