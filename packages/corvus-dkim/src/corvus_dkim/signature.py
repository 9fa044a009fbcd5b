"""The DKIM-Signature field (RFC 6376 §3.5): parse it, check it, hash what it covers.

"Implementers MUST meticulously validate the format and values in the DKIM-Signature header field;
any inconsistency or unexpected values MUST cause the header field to be completely ignored"
(RFC 6376 §6.1.1).  What is malformed is a `PERMERROR`; what is well-formed and unknown to this
verifier is `NEUTRAL`, since a newer one may know it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, final

from corvus_dkim import taglist
from corvus_dkim.canonical import relaxed_header
from corvus_dkim.errors import SignatureError, TagListError
from corvus_dkim.header import Header
from corvus_dkim.result import SignatureResult, Status
from corvus_dkim.taglist import TagList

FIELD: Final = b"dkim-signature"

#: Algorithms that are verified: RFC 6376 §3.3.2, RFC 8463 §3.
ALGORITHMS: Final = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}

#: "rsa-sha1 MUST NOT be used for signing or verifying" (RFC 8301 §3.1).
HISTORIC: Final = frozenset({"rsa-sha1"})

FORMS: Final = {b"simple": "simple", b"relaxed": "relaxed"}

SHA256_OCTETS: Final = 32

_REQUIRED: Final = (b"v", b"a", b"b", b"bh", b"d", b"h", b"s")
_REQUIRED_AMS: Final = (b"a", b"b", b"bh", b"d", b"h", b"s")

#   field-name  =  1*ftext ; printable, without ":" (RFC 5322 §3.6.8); ";" would end the tag
_FTEXT: Final = bytes(c for c in range(0x21, 0x7F) if c not in b":;")


#: Quoted-printable can spell CR and LF, an address cannot (RFC 5321 §4.1.2), and what a program puts
#: into a header field of its own must not contain any.
_CONTROLS: Final = re.compile(rb"[\x00-\x1f\x7f]")


@final
@dataclass(slots=True)
class Signature:
    """A signature field that can be evaluated: every tag has been checked."""

    tags: TagList
    algorithm: str
    key_type: str
    domain: str
    selector: str
    identity: str
    identity_domain: str
    header_form: str
    body_form: str
    names: list[bytes]
    """The ``h=`` tag, in lower case."""
    length: int | None
    timestamp: int | None
    expires: int | None
    signature: bytes
    body_hash: bytes
    record_name: str
    """Where the key record is (RFC 6376 §3.6.2.1)."""

    def result(
        self,
        status: Status,
        reason: str,
        *,
        key_bits: int | None = None,
        unsigned_octets: int = 0,
        testing: bool = False,
        secure: bool = False,
    ) -> SignatureResult:
        """A verdict on this signature."""
        return SignatureResult(
            status,
            reason,
            self.domain,
            self.selector,
            self.identity,
            self.algorithm,
            key_bits,
            unsigned_octets,
            f"{self.header_form}/{self.body_form}",
            tuple(b":".join(self.names).decode("ascii").split(":")),
            self.timestamp,
            self.expires,
            testing,
            secure,
            self.signature,
        )

    def data_hash(self, header: Header, position: int) -> bytes:
        """
        The hash that is signed (RFC 6376 §3.7, step 2), 32 octets.

        Args:
            header: That of the message.
            position: Where in it this very field stands.
        """
        signed = header.canonical(header.select(self.names, without=position), self.header_form)
        name, _, value = header.fields[position].partition(b":")
        # "with the value of the "b=" tag (including all surrounding whitespace) deleted ... and
        # without a trailing CRLF".
        start, end = self.tags.signature_span
        value = value[:start] + value[end:]
        if self.header_form == "simple":
            own = name + b":" + value
        else:
            own = relaxed_header(name, value)[:-2]
        return sha256(signed + own).digest()


def parse(value: bytes, *, arc: bool = False) -> Signature:
    """
    Parse what stands behind the colon of a DKIM-Signature, or of an ARC-Message-Signature.

    Args:
        value: The field value, folds included.
        arc: RFC 8617 §4.1.2: no ``v=``, and ``i=`` is not an identity.

    Raises:
        SignatureError: With the status the field earns, and the reason.
    """
    try:
        return _parse(taglist.parse(value), arc)
    except TagListError as error:
        raise SignatureError(Status.PERMERROR, f"signature syntax error: {error}") from None


def _parse(tags: TagList, arc: bool) -> Signature:
    version = tags.get(b"v")
    if not arc and version is not None and version != b"1":
        raise _broken("incompatible version")
    for name in _REQUIRED_AMS if arc else _REQUIRED:
        if name not in tags:
            raise _broken(f"signature missing required tag {name.decode('ascii')}=")
    domain = domain_tag(tags)
    selector = selector_tag(tags)
    if len(domain) + len(selector) + len("._domainkey.") > taglist.MAX_NAME:
        raise _broken("s= and d= make a name that is too long for DNS")
    algorithm = algorithm_tag(tags)
    header_form, body_form = _forms(tags)
    names = _names(tags[b"h"])
    identity, identity_domain = _identity(tags, domain, arc)
    timestamp = number_tag(tags, b"t")
    expires = number_tag(tags, b"x")
    if timestamp is not None and expires is not None and expires <= timestamp:
        # "The value of the "x=" tag MUST be greater than the value of the "t=" tag".
        raise _broken("x= is not later than t=")
    _queries(tags)
    _copies(tags)
    return Signature(
        tags=tags,
        algorithm=algorithm,
        key_type=ALGORITHMS[algorithm],
        domain=domain,
        selector=selector,
        identity=identity,
        identity_domain=identity_domain,
        header_form=header_form,
        body_form=body_form,
        names=names,
        length=number_tag(tags, b"l", 76),
        timestamp=timestamp,
        expires=expires,
        signature=signature_tag(tags),
        body_hash=_body_hash(tags[b"bh"]),
        record_name=f"{selector}._domainkey.{domain}",
    )


def _broken(reason: str) -> SignatureError:
    return SignatureError(Status.PERMERROR, reason)


# One function per tag; those without an underscore serve ARC-Seal too.


def domain_tag(tags: TagList) -> str:
    """The ``d=`` tag in lower case."""
    if not taglist.is_domain(tags[b"d"]):
        raise _broken("d= is not a domain name")
    return tags[b"d"].lower().decode("ascii")


def selector_tag(tags: TagList) -> str:
    """The ``s=`` tag."""
    if not taglist.is_selector(tags[b"s"]):
        raise _broken("s= is not a selector")
    return tags[b"s"].decode("ascii")


def algorithm_tag(tags: TagList) -> str:
    """The ``a=`` tag, one of `ALGORITHMS`."""
    algorithm = tags[b"a"].lower().decode("ascii", "replace")
    if algorithm in ALGORITHMS:
        return algorithm
    if algorithm in HISTORIC:
        raise _broken(f"{algorithm} must not be used any more (RFC 8301)")
    # "Verifiers MUST ignore any signatures using algorithms that they do not implement."
    raise SignatureError(Status.NEUTRAL, "unknown algorithm in a=")


def signature_tag(tags: TagList) -> bytes:
    """The octets of ``b=``."""
    try:
        signature = taglist.base64_value(tags[b"b"])
    except TagListError:
        raise _broken("b= is not base64") from None
    if not signature:
        raise _broken("b= is empty")
    return signature


def number_tag(tags: TagList, name: bytes, digits: int = 12) -> int | None:
    """A number, or ``None`` if the tag is absent."""
    if name not in tags:
        return None
    try:
        return taglist.number_value(tags[name], digits)
    except TagListError as error:
        raise _broken(f"{name.decode('ascii')}= is {error}") from None


def _body_hash(value: bytes) -> bytes:
    try:
        found = taglist.base64_value(value)
    except TagListError:
        raise _broken("bh= is not base64") from None
    if len(found) != SHA256_OCTETS:
        raise _broken("bh= is not a SHA-256")
    return found


def _forms(tags: TagList) -> tuple[str, str]:
    header, slash, body = tags.get(b"c", b"simple/simple").lower().partition(b"/")
    # "If only one algorithm is named, that algorithm is used for the header and "simple" is used
    # for the body."
    header_form, body_form = FORMS.get(header), FORMS.get(body if slash else b"simple")
    if header_form is None or body_form is None:
        raise SignatureError(Status.NEUTRAL, "unknown canonicalization in c=")
    return header_form, body_form


def _names(value: bytes) -> list[bytes]:
    #   sig-h-tag = %x68 [FWS] "=" [FWS] hdr-name *( [FWS] ":" [FWS] hdr-name )
    words = value.lower().replace(b":", b" : ").split()
    names = words[::2]
    if (
        len(words) % 2 == 0
        or words[1::2] != [b":"] * (len(names) - 1)
        or b"".join(names).translate(None, _FTEXT)
    ):
        raise _broken("h= is not a list of field names")
    if b"from" not in names:
        # "PERMFAIL (From field not signed)" (RFC 6376 §6.1.1).
        raise _broken("From field not signed")
    return names


def _identity(tags: TagList, domain: str, arc: bool) -> tuple[str, str]:
    if arc or b"i" not in tags:
        return f"@{domain}", domain
    try:
        identity = taglist.quoted_printable_value(tags[b"i"])
    except TagListError as error:
        raise _broken(f"i= has {error}") from None
    _, at, right = identity.rpartition(b"@")
    if not at or not taglist.is_domain(right) or _CONTROLS.search(identity):
        raise _broken("i= is not an address")
    identity_domain = right.lower().decode("ascii")
    if identity_domain != domain and not identity_domain.endswith("." + domain):
        # "Verifiers MUST confirm that the domain specified in the "d=" tag is the same as or a
        # parent domain of the domain part of the "i=" tag.  If not ... PERMFAIL (domain mismatch)".
        raise _broken("the domain of i= is not within d=")
    return identity.decode("utf-8", "replace"), identity_domain


def _queries(tags: TagList) -> None:
    value = tags.get(b"q")
    # "Unrecognized query mechanisms MUST be ignored"; without the one we know nothing can be asked.
    if value is not None and b"dns/txt" not in taglist.names_value(value.lower()):
        raise SignatureError(Status.NEUTRAL, "unknown query method in q=")


def _copies(tags: TagList) -> None:
    value = tags.get(b"z")
    if value:
        try:
            copied_fields(value)
        except TagListError as error:
            raise _broken(f"z= has {error}") from None


def copied_fields(value: bytes) -> list[tuple[str, bytes]]:
    """
    Decode a ``z=`` tag: names and values as the signer saw them, "for diagnostic use".

    >>> copied_fields(b"From:foo@eng.example.net|\\r\\n Subject:demo=20run")
    [('From', b'foo@eng.example.net'), ('Subject', b'demo run')]

    Raises:
        TagListError: It is not a list of fields in DKIM-Quoted-Printable.
    """
    copies = []
    for copy in value.split(b"|"):
        name, colon, text = copy.partition(b":")
        if not colon:
            raise TagListError("a copied field without a colon")
        copies.append(
            (
                name.strip(b" \t\r\n").decode("ascii", "replace"),
                taglist.quoted_printable_value(text),
            )
        )
    return copies


def unusable(value: bytes, error: SignatureError) -> SignatureResult:
    """The result for a field that cannot be evaluated, with what can be read of it."""
    try:
        tags = taglist.parse(value)
    except TagListError:
        return SignatureResult(error.status, error.reason)
    domain, selector, algorithm = tags.get(b"d", b""), tags.get(b"s", b""), tags.get(b"a", b"")
    return SignatureResult(
        error.status,
        error.reason,
        domain.lower().decode("ascii") if taglist.is_domain(domain) else "",
        selector.decode("ascii") if taglist.is_selector(selector) else "",
        algorithm=algorithm.lower().decode("ascii") if taglist.is_selector(algorithm) else "",
    )
