"""Aggregate reports, RFC 9990: the model, the XML, the names, and who may receive one.

`read_report` in `corvus_auth.dmarc.report_reader` is the way back.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final
from xml.sax.saxutils import escape

from corvus_auth.dmarc.policy import Discovery
from corvus_auth.dmarc.record import ReportURI, is_dmarc, parse_record
from corvus_auth.dmarc.result import DMARCResult
from corvus_auth.dmarc.walk import fetch, walk, walk_names
from corvus_auth.domains import MAX_NAME, DomainError, to_ascii
from corvus_auth.lookup import Answer, Evaluation, Lookup

NAMESPACE: Final = "urn:ietf:params:xml:ns:dmarc-2.0"
#: "A report SHOULD contain no more than 100 signatures for a given "row""
MAX_SIGNATURES: Final = 100


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPolicy:
    """``policy_published``: the record that was applied, defaults filled in."""

    domain: str
    p: str = "none"
    sp: str = ""
    np: str = ""
    adkim: str = ""
    aspf: str = ""
    discovery_method: str = ""
    """``treewalk`` or ``psl``."""
    fo: str = ""
    testing: str = ""

    @classmethod
    def of(cls, result: DMARCResult | Discovery) -> PublishedPolicy:
        """The policy by which a message was judged.  Raises `ValueError` where there was none."""
        record = result.record
        if record is None:
            raise ValueError("no record was applied, so there is nothing to report")
        p = record.effective(subdomain=False, exists=None)
        sp = record.effective(subdomain=True, exists=True)
        treewalk = result.mode == "rfc9989"
        return cls(
            domain=result.policy_domain,
            p=str(p),
            sp=str(sp),
            np=str(record.effective(subdomain=True, exists=False)) if treewalk else "",
            adkim="s" if record.strict_dkim else "r",
            aspf="s" if record.strict_spf else "r",
            discovery_method="treewalk" if treewalk else "psl",
            fo=":".join(record.fo),
            testing="y" if record.testing else "n",
        )


@final
@dataclass(frozen=True, slots=True)
class DKIMEntry:
    """The result of one signature."""

    domain: str
    selector: str
    result: str
    human_result: str = ""


@final
@dataclass(frozen=True, slots=True)
class SPFEntry:
    """The result of SPF for the MAIL FROM identity."""

    domain: str
    result: str
    human_result: str = ""


@final
@dataclass(frozen=True, slots=True)
class Override:
    """Why the disposition is not what the policy asks for."""

    type: str
    """``local_policy``, ``mailing_list``, ``other``, ``policy_test_mode``, ``trusted_forwarder``."""
    comment: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """``record``: messages from one address with the same identifiers and results."""

    source_ip: str
    header_from: str
    disposition: str
    """``none``, ``pass``, ``quarantine`` or ``reject``: what was done."""
    dkim: str
    """``pass`` or ``fail``: whether a signature was aligned."""
    spf: str
    count: int = 1
    envelope_from: str = ""
    envelope_to: str = ""
    reasons: tuple[Override, ...] = ()
    dkim_results: tuple[DKIMEntry, ...] = ()
    spf_result: SPFEntry | None = None

    @classmethod
    def of(
        cls,
        result: DMARCResult,
        *,
        source_ip: str,
        spf: Any = None,
        dkim: Sequence[Any] = (),
        disposition: str | None = None,
        envelope_to: str = "",
        reasons: Sequence[Override] = (),
    ) -> Row:
        """
        The row for one message.

        Args:
            disposition: What was done, where that is not what the domain owner asked for; a reason
                then belongs into *reasons*.
        """
        asked = "pass" if result.status == "pass" and result.policy != "none" else "none"
        if result.status == "fail":
            asked = str(result.disposition)
        overrides = list(reasons)
        if result.status == "fail" and result.record is not None and not overrides:
            if result.record.testing and result.disposition is not result.policy:
                overrides.append(Override("policy_test_mode"))
            elif disposition is not None and disposition != asked:
                overrides.append(Override("local_policy"))
        aligned = {identifier.method for identifier in result.aligned_by}
        entries = [
            DKIMEntry(
                str(signature.domain),
                str(getattr(signature, "selector", "") or ""),
                _status(signature),
                str(getattr(signature, "reason", "") or ""),
            )
            for signature in sorted(dkim, key=lambda s: _priority(s, result))[:MAX_SIGNATURES]
            if signature.domain
        ]
        entry = None
        envelope_from = ""
        if spf is not None:
            entry = SPFEntry(str(spf.domain), _status(spf), str(getattr(spf, "reason", "") or ""))
            if getattr(spf, "identity", "mailfrom") == "mailfrom":
                envelope_from = str(spf.domain)
        return cls(
            source_ip=source_ip,
            header_from=result.author_domain,
            disposition=asked if disposition is None else disposition,
            dkim="pass" if "dkim" in aligned else "fail",
            spf="pass" if "spf" in aligned else "fail",
            envelope_from=envelope_from,
            envelope_to=envelope_to,
            reasons=tuple(overrides),
            dkim_results=tuple(entries),
            spf_result=entry,
        )


def _status(result: Any) -> str:
    return str(getattr(result.status, "value", result.status))


def _priority(signature: Any, result: DMARCResult) -> int:
    """RFC 9990's order of preference among signatures."""
    if _status(signature) != "pass":
        return 3
    domain = str(signature.domain).lower()
    if domain == result.author_domain:
        return 0
    return 1 if any(i.domain == domain for i in result.aligned_by) else 2


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An aggregate report: one policy domain, one period."""

    org_name: str
    email: str
    report_id: str
    begin: int
    """Seconds since the epoch; typically midnight UTC."""
    end: int
    policy: PublishedPolicy
    rows: tuple[Row, ...]
    extra_contact_info: str = ""
    error: str = ""
    generator: str = ""

    def filename(self, receiver: str, *, compressed: bool = True) -> str:
        """The name of the attachment: ``receiver!policy-domain!begin!end.xml.gz``."""
        name = f"{to_ascii(receiver)}!{to_ascii(self.policy.domain)}!{self.begin}!{self.end}"
        return name + (".xml.gz" if compressed else ".xml")

    def subject(self, submitter: str) -> str:
        """The Subject of the message that carries the report."""
        report_id = _RID_UNSAFE.sub("_", self.report_id)
        domain, submitter = to_ascii(self.policy.domain), to_ascii(submitter)
        return f"Report Domain: {domain} Submitter: {submitter} Report-ID: <{report_id}>"

    def merged(self) -> Report:
        """The same report with equal rows counted together, the order of first sight kept."""
        counts: dict[Row, int] = {}
        for row in self.rows:
            key = replace(row, count=1)
            counts[key] = counts.get(key, 0) + row.count
        return replace(self, rows=tuple([replace(r, count=n) for r, n in counts.items()]))


_RID_UNSAFE: Final = re.compile(r"[^A-Za-z0-9!#$%&'*+/=?^_`{|}~@.-]")
# What XML 1.0 cannot hold at all (§2.2), and lone surrogates of undecodable mail.
_XML_UNSAFE: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _text(value: str, most: int = 1000) -> str:
    return escape(_XML_UNSAFE.sub("?", value[:most]))


def _element(name: str, value: str | int, indent: str) -> str:
    return f"{indent}<{name}>{_text(str(value))}</{name}>\n"


def _optional(name: str, value: str, indent: str) -> str:
    return _element(name, value, indent) if value else ""


def format_report(report: Report) -> bytes:
    """
    The report as XML, in the order of elements that RFC 9990 asks for.

    Raises:
        ValueError: There are no rows: "There MUST be at least one "record" element".
    """
    if not report.rows:
        raise ValueError("a report has at least one row")
    policy = report.policy
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<feedback xmlns="{NAMESPACE}">\n',
        "  <version>1.0</version>\n  <report_metadata>\n",
        _element("org_name", report.org_name, "    "),
        _element("email", report.email, "    "),
        _optional("extra_contact_info", report.extra_contact_info, "    "),
        _element("report_id", report.report_id, "    "),
        "    <date_range>\n",
        _element("begin", report.begin, "      "),
        _element("end", report.end, "      "),
        "    </date_range>\n",
        _optional("error", report.error, "    "),
        _optional("generator", report.generator, "    "),
        "  </report_metadata>\n  <policy_published>\n",
        _element("domain", policy.domain, "    "),
        _optional("discovery_method", policy.discovery_method, "    "),
        _element("p", policy.p, "    "),
        *[
            _optional(name, getattr(policy, name), "    ")
            for name in ("sp", "np", "fo", "adkim", "aspf", "testing")
        ],
        "  </policy_published>\n",
    ]
    for row in report.rows:
        parts.extend(_row(row))
    parts.append("</feedback>\n")
    return "".join(parts).encode("utf-8")


def _row(row: Row) -> list[str]:
    parts = [
        "  <record>\n    <row>\n",
        _element("source_ip", row.source_ip, "      "),
        _element("count", row.count, "      "),
        "      <policy_evaluated>\n",
        _element("disposition", row.disposition, "        "),
        _element("dkim", row.dkim, "        "),
        _element("spf", row.spf, "        "),
    ]
    for reason in row.reasons:
        parts.append("        <reason>\n")
        parts.append(_element("type", reason.type, "          "))
        parts.append(_optional("comment", reason.comment, "          "))
        parts.append("        </reason>\n")
    parts.append("      </policy_evaluated>\n    </row>\n    <identifiers>\n")
    parts.append(_element("header_from", row.header_from, "      "))
    parts.append(_optional("envelope_from", row.envelope_from, "      "))
    parts.append(_optional("envelope_to", row.envelope_to, "      "))
    parts.append("    </identifiers>\n    <auth_results>\n")
    for entry in row.dkim_results:
        parts.append("      <dkim>\n")
        parts.append(_element("domain", entry.domain, "        "))
        parts.append(_element("selector", entry.selector, "        "))
        parts.append(_element("result", entry.result, "        "))
        parts.append(_optional("human_result", entry.human_result, "        "))
        parts.append("      </dkim>\n")
    if row.spf_result is not None:
        parts.append("      <spf>\n")
        parts.append(_element("domain", row.spf_result.domain, "        "))
        parts.append("        <scope>mfrom</scope>\n")
        parts.append(_element("result", row.spf_result.result, "        "))
        parts.append(_optional("human_result", row.spf_result.human_result, "        "))
        parts.append("      </spf>\n")
    parts.append("    </auth_results>\n  </record>\n")
    return parts


def compress_report(xml: bytes) -> bytes:
    """*xml* as ``application/gzip``, without a time stamp, so that a repeated report is equal."""
    return gzip.compress(xml, mtime=0)


# Who may receive a report.


def destinations(
    found: Discovery | DMARCResult, *, most: int = 10
) -> Evaluation[tuple[ReportURI, ...]]:
    """
    The ``rua`` mailboxes that agree to receive reports about a domain (RFC 9990, "Verifying
    External Destinations").

    A mailbox under the organizational domain of the policy is taken as it is; for any other the
    destination is asked, at ``<policy domain>._report._dmarc.<destination>``, and may name another
    mailbox of its own.  Where DNS does not answer, that destination is left out this time.
    """
    record = found.record
    if record is None:
        return ()
    allowed: list[ReportURI] = []
    external: list[tuple[ReportURI, str]] = []
    hosts: dict[str, str] = {}
    for uri in record.rua[:most]:
        try:
            hosts[uri.uri] = to_ascii(uri.domain)
        except DomainError:
            continue
    names = {n for host in hosts.values() for n in walk_names(host)}
    tree = yield from fetch(tuple(sorted(names | set(walk_names(found.policy_domain)))))
    own = walk(found.policy_domain, tree).organizational_domain
    for uri in record.rua[:most]:
        if uri.address is None or uri.uri not in hosts:
            continue
        if walk(hosts[uri.uri], tree).organizational_domain == own:
            allowed.append(uri)
        else:
            external.append((uri, hosts[uri.uri]))
    # "If the length of the constructed name exceed DNS limits, a positive determination of the
    # external reporting relationship cannot be made; stop."
    asked = [
        (uri, host, name)
        for uri, host in external
        if len(name := f"{found.policy_domain}._report._dmarc.{host}") <= MAX_NAME
    ]
    if asked:
        answers: tuple[Answer, ...] = yield tuple([Lookup(name, "TXT") for _, _, name in asked])
        for (uri, host, _), answer in zip(asked, answers, strict=True):
            allowed.extend(_external(uri, host, answer))
    return tuple(dict.fromkeys(allowed))


def _external(uri: ReportURI, host: str, answer: Answer) -> list[ReportURI]:
    records = [parse_record(raw) for raw in answer.records if is_dmarc(raw)]
    if not records:
        return []
    overriding = [other for record in records for other in record.rua]
    if not overriding:
        return [uri]
    # "the overriding URI MUST use the same destination host from the first step"; else a report is
    # generated "to [n]either the original or the override URI".
    if any(other.domain != host for other in overriding):
        return []
    return [other for other in overriding if other.address is not None]
