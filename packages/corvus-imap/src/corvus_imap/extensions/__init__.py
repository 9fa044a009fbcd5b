"""Extensions, one file each; the registry of capabilities (RFC 9051 §6.1.1, IANA "IMAP Capabilities").

To add one: write its file with an `Extension`, add it to `REGISTRY`, and offer its name in
``ServerConnection(capabilities=...)``.  Words of an extension that is not offered are unknown words.
"""

from __future__ import annotations

from typing import Final

from corvus_imap.extensions import (
    binary,
    compress,
    condstore,
    esearch,
    id,  # noqa: A004
    list_extended,
    objectid,
    preview,
    qresync,
    quota,
    savedate,
    sort,
    special_use,
    within,
)
from corvus_imap.extensions._extension import Extension

_ROWS: Final = (
    # With rows in the grammar.
    binary.EXTENSION,
    list_extended.CHILDREN,
    compress.EXTENSION,
    condstore.EXTENSION,
    special_use.CREATE_SPECIAL_USE,
    esearch.ESEARCH,
    esearch.ESORT,
    id.EXTENSION,
    list_extended.LIST_EXTENDED,
    list_extended.LIST_STATUS,
    objectid.EXTENSION,
    preview.EXTENSION,
    qresync.EXTENSION,
    quota.EXTENSION,
    quota.QUOTASET,
    savedate.EXTENSION,
    esearch.SEARCHRES,
    sort.SORT,
    special_use.SPECIAL_USE,
    sort.THREAD_ORDEREDSUBJECT,
    sort.THREAD_REFERENCES,
    within.EXTENSION,
    # Whose words the base grammar knows, since IMAP4rev2 has them; told, and nothing more.
    Extension(capability="ENABLE", rfc="5161", rev2=True, before_login=True),
    Extension(capability="IDLE", rfc="2177", rev2=True),
    Extension(capability="IMAP4rev1", rfc="3501", before_login=True),
    Extension(capability="IMAP4rev2", rfc="9051", before_login=True, enable=True),
    Extension(capability="LITERAL+", rfc="7888", before_login=True),
    Extension(capability="LITERAL-", rfc="7888", rev2=True, before_login=True),
    Extension(capability="MOVE", rfc="6851", rev2=True),
    Extension(capability="MULTIAPPEND", rfc="3502"),
    Extension(capability="NAMESPACE", rfc="2342", rev2=True),
    Extension(capability="SASL-IR", rfc="4959", rev2=True, before_login=True),
    Extension(capability="STATUS=SIZE", rfc="8438", rev2=True),
    Extension(capability="UIDPLUS", rfc="4315", rev2=True),
    Extension(capability="UNSELECT", rfc="3691", rev2=True),
    Extension(capability="UTF8=ACCEPT", rfc="6855", enable=True),
)

#: Every capability that this package understands, by its name.
REGISTRY: Final = {row.capability: row for row in sorted(_ROWS, key=lambda row: row.capability)}
