"""Names of attachments that may come near a file system or a Content-Disposition of HTTP."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LONGEST: Final = 150  # characters, and 240 octets: the file systems at hand allow 255
_LONGEST_OCTETS: Final = 240
# Path separators, what Windows refuses, controls; and the characters that turn "cod.exe" into
# what reads "exe.doc" (bidirectional controls), or show nothing at all.
_BAD: Final = re.compile(
    r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f'
    r"\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffd\ud800-\udfff]"
)
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)", re.IGNORECASE)


def safe_filename(name: str | None, *, default: str = "attachment") -> str:
    """
    A name without a path, made of characters that any file system and any eye can bear.

    >>> safe_filename("../../etc/passwd"), safe_filename("C:\\\\x\\\\con.txt"), safe_filename(None)
    ('passwd', '_con.txt', 'attachment')

    The last component is kept, reserved names of Windows get an underscore in front, invisible
    and bidirectional characters are dropped, and long names are cut before their extension.
    """
    if name is None:
        return default
    name = re.split(r"[/\\]", name)[-1]
    name = _BAD.sub("", unicodedata.normalize("NFC", name[: 4 * _LONGEST]))
    # "Trailing dots and spaces" vanish on Windows; leading dots hide a file elsewhere.
    name = " ".join(name.split()).strip(". ")
    if not name:
        return default
    if _RESERVED.match(name):
        name = "_" + name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 16:
        stem, extension = name, ""
    else:
        extension = dot + extension
    stem = stem[: _LONGEST - len(extension)]
    while len((stem + extension).encode()) > _LONGEST_OCTETS:
        stem = stem[:-1]
    return stem.rstrip(". ") + extension if stem.rstrip(". ") else default + extension
