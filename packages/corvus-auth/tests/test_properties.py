"""Generated inputs: nothing remote makes anything raise, and what is written reads back."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_auth import authres, dmarc, sasl, spf
from corvus_auth.authres import Property, Result
from corvus_auth.dmarc import PublishedPolicy, Report, Row, author, format_report, read_report
from corvus_auth.domains import DomainError, to_ascii
from corvus_auth.lookup import Answer, AnswerStatus, Lookup, ZoneResolver, gather, run
from corvus_auth.sasl import SASLError, StoredKeys
from corvus_auth.sasl.scram import ScramServer
from corvus_auth.sasl.simple import CramMD5Server

pytestmark = pytest.mark.property

WORDS = [
    "a", "mx", "ptr", "all", "-all", "?all", "include:", "exists:", "ip4:192.0.2.0/24", "ip6:2001:db8::/32",
    "redirect=", "exp=", "%{s}", "%{l}", "%{d}", "%{p}", "%{ir}", "%{h1r-}", "%%", "%_", "%{", "a.test", "b.test",
    ".", ":", "/", "//", "/24", " ", " ", " ", "=", "x", "\t", "\r\n", "\xff",
]  # fmt: skip
TERMS = st.lists(st.sampled_from(WORDS), max_size=14).map("".join)
NAMES = st.sampled_from(["a.test", "b.test", "c.a.test", "_dmarc.a.test", "_dmarc.test"])
STATUSES: st.SearchStrategy[AnswerStatus] = st.sampled_from(
    ["ok", "nodata", "nxdomain", "timeout", "servfail"]
)


class Chaos:
    """A resolver that answers as hypothesis likes."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.asked: list[tuple[str, str]] = []

    def resolve(self, name: str, rdtype: str) -> Answer:
        self.asked.append((name, rdtype))
        status = self.data.draw(STATUSES)
        if status != "ok":
            return Answer(status)
        records: Any
        if rdtype == "TXT":
            text = self.data.draw(TERMS)
            version = self.data.draw(st.sampled_from(["v=spf1 ", "v=DMARC1; p=reject;", ""]))
            records = [(version + text).encode("latin-1", "replace")]
        elif rdtype == "MX":
            records = self.data.draw(st.lists(st.tuples(st.integers(0, 9), NAMES), max_size=12))
        elif rdtype == "PTR":
            records = self.data.draw(st.lists(NAMES | st.text(max_size=5), max_size=12))
        else:
            records = [self.data.draw(st.sampled_from(["192.0.2.1", "2001:db8::1", "junk"]))]
        return Answer("ok", tuple(records))


@given(st.data(), st.text(max_size=12), st.sampled_from(["192.0.2.1", "2001:db8::1"]))
def test_spf_is_a_verdict_within_its_budget(data: st.DataObject, local: str, ip: str) -> None:
    resolver = Chaos(data)
    result = spf.check(ip, f"{local}@a.test", local, resolver=resolver)
    assert result.status in set(spf.Status)
    assert result.reason.isascii()
    assert result.lookups == len(resolver.asked) <= spf.Limits().lookups
    assert all(len(name) <= 253 for name, _ in resolver.asked)
    shown = json.dumps(result.to_dict()) + "".join(map(str, result.trace))
    assert shown.isascii()
    assert shown.isprintable()
    value = spf.format_received_spf(result, "mx.example.org")
    assert spf.parse_received_spf(value).status == result.status


@given(st.data(), st.sampled_from(["a.test", "c.a.test", "x.y.z.test"]), NAMES)
def test_dmarc_is_a_verdict(data: st.DataObject, domain: str, signer: str) -> None:
    resolver = Chaos(data)
    signed = spf.SPFResult(data.draw(st.sampled_from(list(spf.Status))), "", signer)
    result = dmarc.check(domain, spf=signed, dkim=[signed], resolver=resolver)
    assert result.status in set(dmarc.Status)
    assert result.reason.isprintable()
    assert bool(result.aligned_by) == (result.status == "pass")
    assert result.disposition == "none" or result.status == "fail"
    json.dumps(result.to_dict())


@given(st.binary(max_size=200) | TERMS.map(lambda t: ("v=spf1 " + t).encode("latin-1", "replace")))
def test_records_are_read_whatever_they_are(raw: bytes) -> None:
    assert spf.record.parse_record(raw).text.isprintable()
    record = dmarc.parse_record(raw)
    assert all(problem.isprintable() for problem in record.problems)


@given(st.text(max_size=80))
def test_a_domain_is_itself_or_none(text: str) -> None:
    try:
        name = to_ascii(text)
    except DomainError:
        return
    assert name.isascii()
    assert to_ascii(name) == name
    assert 0 < len(name) <= 253


@given(
    st.lists(
        st.sampled_from(
            [
                "a@b.test",
                "<",
                ">",
                "(",
                ")",
                '"',
                "\\",
                ",",
                ":",
                ";",
                "@",
                " ",
                "[",
                "]",
                "\r\n ",
                "x",
            ]
        )
        | st.text(max_size=4),
        max_size=12,
    ).map("".join)
)
def test_an_author_is_found_or_the_policy_applies(text: str) -> None:
    found = author([text])
    assert (found.domain is None) == bool(found.problem)
    assert author([text.encode("utf-8", "surrogateescape")]).domain == found.domain


TEXT = st.text(max_size=30) | st.sampled_from(
    ['"', "\\", ")", "(", "\r\n", "; dkim=pass", 'a"@x.test']
)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=4))
def test_results_read_back_whatever_the_text(parts: list[tuple[str, str, str]]) -> None:
    results = [
        Result("spf", "fail", reason, (Property("smtp", "mailfrom", value),), comment)
        for reason, value, comment in parts
    ]
    field = authres.field("mx.example.org", results)
    assert field.isascii()
    body = field.removeprefix(b"Authentication-Results:").removesuffix(b"\r\n")
    assert b"\n" not in body.replace(b"\r\n\t", b"")
    read = authres.parse(body)
    assert [(r.method, r.result, len(r.properties)) for r in read.results] == [
        ("spf", "fail", 1) for _ in parts
    ]
    again = authres.parse(authres.format(read))
    assert [r.properties for r in again.results] == [r.properties for r in read.results]


@given(
    st.lists(
        st.sampled_from(
            [
                "mx.example",
                ";",
                "=",
                "spf",
                "pass",
                ".",
                "/",
                "1",
                '"',
                "(",
                ")",
                "\\",
                " ",
                "\r\n ",
                "reason",
                "none",
            ]
        )
        | st.text(max_size=3),
        max_size=16,
    ).map("".join)
)
def test_reading_results_raises_nothing_but_value_error(text: str) -> None:
    try:
        field = authres.parse(text)
    except ValueError:
        return
    read = authres.parse(authres.format(field))
    assert [(r.method, r.result) for r in read.results] == [
        (r.method, r.result) for r in field.results
    ]


@given(st.binary(max_size=300))
def test_removing_fields_takes_whole_fields_only(raw: bytes) -> None:
    forged = b"Authentication-Results: mx.example.org; spf=pass\r\n"
    rest = b"A: b\r\n\r\n" + raw
    assert authres.remove(forged + rest, "mx.example.org") == rest
    authres.remove(raw, "mx.example.org")


@given(st.text(max_size=40), st.text(max_size=40), st.integers(0, 10**9))
def test_reports_read_back(one: str, two: str, count: int) -> None:
    row = Row(
        source_ip="192.0.2.1", header_from=one, disposition="none", dkim="pass", spf="fail",
        count=count, envelope_to=two,
    )  # fmt: skip
    report = Report(
        org_name=one, email=two, report_id="1", begin=1, end=2,
        policy=PublishedPolicy(domain="a.test"), rows=(row,),
    )  # fmt: skip
    read = read_report(format_report(report))
    assert read.rows[0].count == count
    assert read_report(format_report(read)) == read


@given(st.binary(max_size=300))
def test_reading_reports_raises_nothing_but_its_error(raw: bytes) -> None:
    for data in (raw, b"\x1f\x8b" + raw, b"PK\x03\x04" + raw, b"<feedback>" + raw):
        with suppress(dmarc.ReportError):
            read_report(data)


RESPONSES = st.lists(
    st.lists(
        st.sampled_from(
            [b"n,,n=alice,r=abc", b"p=tls-exporter,,", b"y,a=x,", b"c=biws", b",", b"=", b"r=abcnonce", b"p=AAAA",
             b"\0", b"\x01", b"auth=Bearer t", b"user=a", b"alice", b" ", b"0" * 32, b"\xff", b"=2C"]
        )
        | st.binary(max_size=6),
        max_size=6,
    ).map(b"".join),
    max_size=4,
)  # fmt: skip


@given(st.sampled_from(list(sasl.MECHANISMS)), RESPONSES, st.booleans())
def test_a_server_machine_ends_and_raises_nothing(
    name: str, responses: list[bytes], good: bool
) -> None:
    machine = sasl.server(
        name, nonce="nonce", dummy_key=b"x" * 16, channel_bindings={"tls-exporter": b"b"}
    )
    step = machine.step(responses[0] if responses else None)
    for response in [*responses[1:], b"", b"", b""]:
        match step:
            case sasl.Challenge():
                step = machine.step(response)
            case sasl.NeedKeys():
                assert isinstance(machine, ScramServer)
                step = machine.keys(KEYS[step.mechanism] if good else None)
            case sasl.NeedSecret():
                assert isinstance(machine, CramMD5Server)
                step = machine.secret(sasl.Secret("x") if good else None)
            case sasl.Success() | sasl.Failure():
                break
            case _:
                step = machine.accept("alice") if good else machine.reject()
    assert machine.done or isinstance(step, sasl.Challenge | sasl.Verify | sasl.NeedKeys)


KEYS = {
    name: sasl.derive_keys("x", b"s" * 16, iterations=1, mechanism=name) for name in sasl.HASHES
}


@given(st.lists(st.binary(max_size=60), max_size=4), st.sampled_from(list(sasl.MECHANISMS)))
def test_a_client_machine_raises_nothing_but_its_error(challenges: list[bytes], name: str) -> None:
    client = sasl.client(
        name, username="a", password="b", token="t", nonce="n", channel_binding=("tls-exporter", b"b"),
        max_iterations=4096,
    )  # fmt: skip
    client.start()
    try:
        for challenge in challenges:
            client.step(challenge)
        client.finish(b"v=AAAA")
    except SASLError:
        return
    assert not name.startswith("SCRAM")


@given(st.text(max_size=30))
def test_saslprep_is_idempotent(text: str) -> None:
    try:
        prepared = sasl.saslprep(text)
    except sasl.PrepError:
        return
    # Unicode 3.2's normalization is stable for what it knows; one more pass changes nothing.
    assert sasl.saslprep(prepared) == prepared


@given(st.text(max_size=60))
def test_stored_keys_are_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        StoredKeys.from_text("SCRAM-SHA-256$" + text)


@given(st.lists(st.lists(st.integers(1, 3), max_size=4), max_size=4))
def test_gathered_evaluations_get_their_own_answers(shapes: list[list[int]]) -> None:
    def evaluation(number: int, shape: list[int]) -> Any:
        got = []
        for turn, width in enumerate(shape):
            names = [f"{number}.{turn}.{i}.test" for i in range(width)]
            if width == 1:
                got.append((yield Lookup(names[0], "TXT")))
            else:
                got.extend((yield tuple(Lookup(name, "TXT") for name in names)))
        return [answer.records[0].decode() for answer in got]

    zone = {
        f"{n}.{t}.{i}.test": {"TXT": [f"{n}.{t}.{i}".encode()]}
        for n, shape in enumerate(shapes)
        for t, width in enumerate(shape)
        for i in range(width)
    }
    results = run(gather([evaluation(n, s) for n, s in enumerate(shapes)]), ZoneResolver(zone))
    assert results == [
        [f"{n}.{t}.{i}" for t, width in enumerate(shape) for i in range(width)]
        for n, shape in enumerate(shapes)
    ]
