"""
DKIM and ARC: sign and verify, every signature, every reason.

>>> import corvus_dkim
>>> key = corvus_dkim.generate_key("ed25519")
>>> signer = corvus_dkim.Signer("example.com", "s1", key)
>>> message = b"From: joe@example.com\\r\\nSubject: Hi\\r\\n\\r\\nHello.\\r\\n"
>>> signed = signer.sign(message) + message
>>> zone = {"s1._domainkey.example.com": {"TXT": [corvus_dkim.key_record(key)]}}
>>> result, = corvus_dkim.verify(signed, resolver=corvus_dkim.ZoneResolver(zone))
>>> result.status, result.reason, result.domain
(<Status.PASS: 'pass'>, 'signature verified', 'example.com')
"""

from corvus_dkim import arc, lookup
from corvus_dkim.errors import (
    DKIMError,
    KeyFormatError,
    RecordError,
    SignatureError,
    SigningError,
    TagListError,
)
from corvus_dkim.key import PrivateKey, generate_key
from corvus_dkim.line_ends import normalise
from corvus_dkim.lookup import Answer, Lookup, ZoneResolver
from corvus_dkim.policy import Policy
from corvus_dkim.record import KeyRecord, bind_record, key_record, record_name
from corvus_dkim.result import SignatureResult, Status
from corvus_dkim.sign import Signer, SigningStream, sign_with
from corvus_dkim.verify import Verifier, averify, evaluate, verify

__all__ = [
    "Answer",
    "DKIMError",
    "KeyFormatError",
    "KeyRecord",
    "Lookup",
    "Policy",
    "PrivateKey",
    "RecordError",
    "SignatureError",
    "SignatureResult",
    "Signer",
    "SigningError",
    "SigningStream",
    "Status",
    "TagListError",
    "Verifier",
    "ZoneResolver",
    "arc",
    "averify",
    "bind_record",
    "evaluate",
    "generate_key",
    "key_record",
    "lookup",
    "normalise",
    "record_name",
    "sign_with",
    "verify",
]
