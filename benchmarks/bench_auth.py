"""Numbers for corvus-auth: SPF beside pyspf, DMARC beside authheaders, SCRAM, passwords.

    python benchmarks/bench_auth.py [--seconds 0.3]

Peers that are not installed are left out.  "warm": the cache of parsed records as it is in use;
"records anew": each record is parsed again, terms that were seen are kept, as for domains met the
first time; "all anew": nothing is kept.  The trace is on in all of them: there is no other way.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "adapters"))

from spf_adapter import check, resolver_for

from corvus_auth import authenticate, dmarc, passwords, sasl, spf
from corvus_auth.lookup import Answer, Lookup, arun, run
from corvus_auth.sasl.scram import ScramServer
from corvus_auth.spf import evaluation, record

DNS: dict[tuple[str, str], list[Any]] = {
    ("direct.test", "TXT"): ["v=spf1 ip4:192.0.2.0/24 -all"],
    ("inc.test", "TXT"): [
        "v=spf1 include:_a.inc.test include:_b.inc.test include:_c.inc.test ~all"
    ],
    ("_a.inc.test", "TXT"): [
        "v=spf1 ip4:10.0.0.0/8 ip4:172.16.0.0/12 ip4:203.0.113.0/24 ip6:2001:db8::/32 ~all"
    ],
    ("_b.inc.test", "TXT"): ["v=spf1 include:_b1.inc.test ip4:198.51.100.0/25 ~all"],
    ("_b1.inc.test", "TXT"): ["v=spf1 ip4:198.51.100.128/25 ~all"],
    ("_c.inc.test", "TXT"): ["v=spf1 a:host.inc.test mx:inc.test ip4:192.0.2.1 ~all"],
    ("host.inc.test", "A"): ["203.0.113.9"],
    ("inc.test", "MX"): [(10, "mx1.inc.test"), (20, "mx2.inc.test")],
    ("mx1.inc.test", "A"): ["203.0.113.10"],
    ("mx2.inc.test", "A"): ["203.0.113.11"],
    ("macro.test", "TXT"): ["v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all"],
    ("1.2.0.192.in-addr._spf.macro.test", "A"): ["127.0.0.2"],
    ("_dmarc.direct.test", "TXT"): ["v=DMARC1; p=reject; rua=mailto:x@direct.test"],
}
CASES = [
    ("ip4", "192.0.2.1", "a@direct.test", "pass"),
    ("ip4, fail", "192.0.3.1", "a@direct.test", "fail"),
    ("includes, a, mx", "192.0.2.1", "a@inc.test", "pass"),
    ("exists, macros", "192.0.2.1", "a@macro.test", "pass"),
    ("no record", "192.0.2.1", "a@none.test", "none"),
]


def rate(call: Callable[[], object], seconds: float) -> float:
    """Calls per second, the median of three runs."""
    runs = []
    for _ in range(3):
        count, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds / 3:
            for _ in range(20):
                call()
            count += 20
        runs.append(count / elapsed)
    return statistics.median(runs)


def pyspf() -> Callable[[str, str], str] | None:
    if importlib.util.find_spec("spf") is None:
        return None
    peer = importlib.import_module("spf")

    def lookup(name: str, rdtype: str, *_: Any, **__: Any) -> list[Any]:
        found = DNS.get((name.lower().rstrip("."), rdtype), [])
        return [((name, rdtype), (v.encode(),) if rdtype == "TXT" else v) for v in found]

    peer.DNSLookup = lookup
    return lambda ip, sender: str(peer.check2(i=ip, s=sender, h="helo.test")[0])


def spf_table(seconds: float) -> None:
    peer = pyspf()
    kept = evaluation.parse_record
    print(f"{'SPF evaluations/s':<18}{'pyspf':>10}{'warm':>18}{'records anew':>18}{'all anew':>18}")
    for name, ip, sender, expected in CASES:
        assert check(ip, sender, "helo.test", DNS) == expected

        def ours(ip: str = ip, sender: str = sender) -> object:
            return check(ip, sender, "helo.test", DNS)

        def anew(ip: str = ip, sender: str = sender) -> object:
            record.forget_records()
            return check(ip, sender, "helo.test", DNS)

        base = rate(lambda ip=ip, sender=sender: peer(ip, sender), seconds) if peer else 0.0
        numbers = [rate(ours, seconds)]
        evaluation.parse_record = record._parse
        numbers.append(rate(ours, seconds))
        evaluation.parse_record = kept
        numbers.append(rate(anew, seconds))
        shown = [f"{n:,.0f}" + (f" ({n / base:.1f}x)" if base else "") for n in numbers]
        print(f"{name:<18}{base:>10,.0f}" + "".join([f"{text:>18}" for text in shown]))


def dmarc_table(seconds: float) -> None:
    found = run(dmarc.discover("news.direct.test"), resolver_for(DNS))
    signed = SimpleNamespace(status="pass", domain="direct.test")
    ours = rate(lambda: dmarc.evaluate(found, spf=None, dkim=[signed]), seconds)
    whole = rate(
        lambda: dmarc.check("direct.test", spf=None, dkim=[signed], resolver=resolver_for(DNS)),
        seconds,
    )
    print(
        f"\ndmarc.evaluate {ours:,.0f}/s, dmarc.check with an in-memory zone {whole:,.0f}/s", end=""
    )
    if importlib.util.find_spec("authheaders") is not None:
        authheaders = importlib.import_module("authheaders")
        authentication = importlib.import_module("authres")
        message = b"From: <a@direct.test>\r\nSubject: x\r\n\r\nhi\r\n"

        def txt(name: str | bytes, timeout: int = 5) -> str | None:
            text = name.decode() if isinstance(name, bytes) else name
            records = DNS.get((text.lower().rstrip("."), "TXT"))
            return records[0] if records else None

        def peer() -> object:
            result = authentication.SPFAuthenticationResult(
                result="pass", smtp_mailfrom="a@direct.test"
            )
            return authheaders.check_dmarc(message, spf_result=result, dnsfunc=txt)

        print(f", authheaders {rate(peer, seconds):,.0f}/s", end="")
    print()


def scram_server(seconds: float) -> None:
    keys = sasl.derive_keys("pencil", b"salt" * 4)
    client = sasl.client("SCRAM-SHA-256", username="a", password="pencil", nonce="c" * 18)
    start = client.start()
    first = sasl.server("SCRAM-SHA-256", nonce="s" * 18, dummy_key=b"x" * 16)
    assert isinstance(first, ScramServer)
    first.step(start)
    challenge = first.keys(keys)
    assert isinstance(challenge, sasl.Challenge)
    final = client.step(challenge.data)

    def exchange() -> None:
        machine = sasl.server("SCRAM-SHA-256", nonce="s" * 18, dummy_key=b"x" * 16)
        assert isinstance(machine, ScramServer)
        machine.step(start)
        machine.keys(keys)
        machine.step(final)
        machine.step(b"")

    print(f"\nSCRAM-SHA-256 server, the whole exchange: {1e6 / rate(exchange, seconds):.0f} us")


def password_table() -> None:
    if importlib.util.find_spec("argon2") is None:
        return
    for name, parameters in (
        ("default (t=2, 19 MiB, p=1)", passwords.DEFAULT),
        ("RFC 9106 (t=3, 64 MiB, p=4)", passwords.Parameters(3, 65_536, 4)),
    ):
        stored = passwords.hash("Corvus2026!", parameters=parameters)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            passwords.verify(stored, "Corvus2026!")
            times.append(time.perf_counter() - start)
        print(f"argon2id, {name}: {1000 * statistics.median(times):.0f} ms")


class Slow:
    """A resolver under which each round of look-ups costs 20 ms of a clock that is only counted."""

    def __init__(self, zone: dict[tuple[str, str], list[Any]]) -> None:
        self.zone = resolver_for(zone)
        self.rounds = 0

    async def resolve(self, name: str, rdtype: str) -> Answer:
        self.rounds += 1
        return self.zone.resolve(name, rdtype)

    async def aresolve_many(self, lookups: tuple[Lookup, ...]) -> list[Answer]:
        self.rounds += 1
        return [self.zone.resolve(q.name, q.rdtype) for q in lookups]


def chain() -> None:
    zone: dict[tuple[str, str], list[Any]] = {
        ("b.a.example.com", "TXT"): ["v=spf1 include:spf.example.net a:mail.example.com -all"],
        ("spf.example.net", "TXT"): ["v=spf1 ip4:198.51.100.0/24 -all"],
        ("mail.example.com", "A"): ["192.0.2.1"],
        ("_dmarc.example.com", "TXT"): ["v=DMARC1; p=reject"],
    }

    def dkim() -> Any:
        yield (Lookup("s._domainkey.example.com", "TXT"),)
        return [SimpleNamespace(status="pass", domain="example.com", reason="")]

    resolver = Slow(zone)
    checked = spf.evaluate("192.0.2.1", "x@b.a.example.com", "mail.example.com")
    waiting = arun(authenticate("b.a.example.com", spf=checked, dkim=dkim()), resolver)
    try:
        waiting.send(None)
    except StopIteration as end:
        print(
            f"\n{end.value}  {resolver.rounds} rounds of look-ups: {20 * resolver.rounds} ms at 20 ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.3, help="per number")
    seconds = parser.parse_args().seconds
    spf_table(seconds)
    dmarc_table(seconds)
    scram_server(seconds)
    password_table()
    chain()


if __name__ == "__main__":
    main()
