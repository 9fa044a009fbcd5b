"""RFC 5322 and MIME messages over immutable bytes: parse, read, build."""

from corvus_message.address import (
    Address,
    Group,
    address_list,
    addresses,
    format_address,
    parse_address,
)
from corvus_message.body import BodyView
from corvus_message.builder import Attachment, build, new_boundary, new_message_id
from corvus_message.charsets import decode_charset
from corvus_message.dates import format_date, parse_date
from corvus_message.display import display_address, display_domain, display_text
from corvus_message.fields import (
    format_address_field,
    format_field,
    format_ids,
    format_raw_field,
)
from corvus_message.filenames import safe_filename
from corvus_message.flowed import decode_flowed, encode_flowed
from corvus_message.header import Field, Headers
from corvus_message.html import html_to_text
from corvus_message.limits import Defect, Limits
from corvus_message.params import (
    ContentType,
    ParameterValue,
    format_params,
    parse_content_type,
    parse_disposition,
)
from corvus_message.parser import parse
from corvus_message.part import Part
from corvus_message.reply import (
    ReplyHeaders,
    as_attachment,
    forward_subject,
    quote,
    reply_headers,
)
from corvus_message.report import (
    Action,
    DeliveryReport,
    RecipientReport,
    RecipientStatus,
    dsn,
    dsn_text,
    mdn,
    read_dsn,
)
from corvus_message.threads import (
    base_subject,
    message_id,
    message_ids,
    references,
    split_subject,
)
from corvus_message.trace import received, without_fields
from corvus_message.transfer import (
    Decoder,
    decode_base64,
    decode_quoted_printable,
    decode_transfer,
    decode_uuencode,
    encode_base64,
    encode_quoted_printable,
    transfer_decoder,
)
from corvus_message.words import decode_words, encode_words

# Sorted by concept: parsing, values of fields, threads, content, writing.
__all__ = [  # noqa: RUF022
    "Defect",
    "Field",
    "Headers",
    "Limits",
    "Part",
    "parse",
    #
    "Address",
    "ContentType",
    "Group",
    "ParameterValue",
    "address_list",
    "addresses",
    "decode_words",
    "parse_address",
    "parse_content_type",
    "parse_date",
    "parse_disposition",
    #
    "base_subject",
    "message_id",
    "message_ids",
    "references",
    "split_subject",
    #
    "BodyView",
    "Decoder",
    "decode_base64",
    "decode_charset",
    "decode_flowed",
    "decode_quoted_printable",
    "decode_transfer",
    "decode_uuencode",
    "encode_base64",
    "encode_flowed",
    "encode_quoted_printable",
    "display_address",
    "display_domain",
    "display_text",
    "html_to_text",
    "safe_filename",
    "transfer_decoder",
    #
    "Attachment",
    "build",
    "encode_words",
    "format_address",
    "format_address_field",
    "format_date",
    "format_field",
    "format_ids",
    "format_params",
    "format_raw_field",
    "new_boundary",
    "new_message_id",
    "received",
    "without_fields",
    #
    "ReplyHeaders",
    "as_attachment",
    "forward_subject",
    "quote",
    "reply_headers",
    #
    "Action",
    "DeliveryReport",
    "RecipientReport",
    "RecipientStatus",
    "dsn",
    "dsn_text",
    "mdn",
    "read_dsn",
]
