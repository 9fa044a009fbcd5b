"""RFC 5322 and MIME messages over immutable bytes: parse, read, build."""

# Reading a message.
from corvus_message.address import (
    Address,
    Group,
    address_list,
    addresses,
    format_address,
    parse_address,
)
from corvus_message.body import BodyView
from corvus_message.dates import format_date, parse_date
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
from corvus_message.words import decode_words, encode_words

__all__ = [
    "Address",
    "BodyView",
    "ContentType",
    "Defect",
    "Field",
    "Group",
    "Headers",
    "Limits",
    "ParameterValue",
    "Part",
    "address_list",
    "addresses",
    "decode_flowed",
    "decode_words",
    "encode_flowed",
    "encode_words",
    "format_address",
    "format_date",
    "format_params",
    "html_to_text",
    "parse",
    "parse_address",
    "parse_content_type",
    "parse_date",
    "parse_disposition",
    "safe_filename",
]
