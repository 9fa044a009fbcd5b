"""``corvus-auth spf | dmarc | authres``: the library at the command line.

Exit status: 0 pass (or nothing wrong), 1 fail, softfail or permerror, 2 none or neutral,
64 wrong usage, 75 temperror.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, Final, NoReturn, TextIO

from corvus_auth import authres, dmarc, spf
from corvus_auth.lookup import ZoneResolver, run
from corvus_auth.printable import printable

EXIT: Final = {"pass": 0, "fail": 1, "softfail": 1, "permerror": 1, "none": 2, "neutral": 2}
TEMPERROR: Final = 75
USAGE: Final = 64
#: Octets of a message or field that ``authres`` reads.
MAX_INPUT: Final = 64 << 20


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="corvus-auth", description="SPF, DMARC and Authentication-Results.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    common = _Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the whole result as JSON")
    dns = _Parser(add_help=False)
    dns.add_argument(
        "--zone", type=Path, metavar="FILE", help="answer from this JSON, not from DNS"
    )
    dns.add_argument(
        "--nameserver", action="append", default=[], metavar="ADDRESS", help="ask this name server"
    )

    check = commands.add_parser("spf", parents=[common, dns], help="check one sender, or a record")
    check.add_argument("ip", nargs="?", help="the address of the SMTP client")
    check.add_argument("sender", nargs="?", help="the reverse-path, or <> for none")
    check.add_argument("helo", nargs="?", default="", help="the name given with HELO or EHLO")
    check.add_argument("--explain", metavar="DOMAIN", help="examine the record of a domain instead")
    check.add_argument("--trace", action="store_true", help="list each term that was tried")

    policy = commands.add_parser("dmarc", parents=[common, dns], help="check a From domain")
    policy.add_argument("domain", help="the domain in From")
    policy.add_argument("--spf", metavar="DOMAIN", help="a domain for which SPF passed")
    policy.add_argument(
        "--dkim", metavar="DOMAIN", action="append", default=[], help="the d= of a good signature"
    )
    policy.add_argument("--mode", choices=("rfc9989", "rfc7489"), default="rfc9989")

    results = commands.add_parser(
        "authres", parents=[common], help="read Authentication-Results from standard input"
    )
    results.add_argument(
        "--strip",
        metavar="ID",
        action="append",
        default=[],
        help="write the message without the fields that claim this authserv-id",
    )
    return parser


def main(
    arguments: Sequence[str] | None = None,
    *,
    stdin: BinaryIO | None = None,
    stdout: TextIO | None = None,
) -> int:
    """Run one command and return its exit status."""
    out = stdout or sys.stdout
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
        match options.command:
            case "spf":
                return _spf(options, out)
            case "dmarc":
                return _dmarc(options, out)
            case _:
                return _authres(options, stdin or sys.stdin.buffer, out)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USAGE
    except (OSError, ValueError, ImportError) as error:
        print(f"corvus-auth: {printable(str(error), 300)}", file=sys.stderr)
        return USAGE


def _resolver(options: argparse.Namespace) -> Any:
    if options.zone is not None:
        try:
            return ZoneResolver.from_json(options.zone.read_bytes())
        except ValueError as error:
            raise ValueError(f"{options.zone}: {error}") from error
    try:
        from corvus_auth.dns import DNSResolver
    except ImportError as error:
        raise ImportError("give --zone FILE, or install corvus-auth[dns]") from error
    return DNSResolver(options.nameserver)


def _print(value: Any, out: TextIO) -> None:
    print(json.dumps(value, indent=2), file=out)


def _spf(options: argparse.Namespace, out: TextIO) -> int:
    if options.explain is not None:
        report = run(spf.explain(options.explain), _resolver(options))
        if options.json:
            _print(report.to_dict(), out)
        else:
            print(report, file=out)
        return 0 if report.ok else 1
    if options.ip is None or options.sender is None:
        raise ValueError("spf needs an address and a sender, or --explain DOMAIN")
    result = spf.check(options.ip, options.sender, options.helo, resolver=_resolver(options))
    if options.json:
        _print(result.to_dict(), out)
    else:
        print(result, file=out)
        if options.trace:
            for step in result.trace:
                print(step, file=out)
        if result.explanation:
            # "Software SHOULD make it clear that the explanation string comes from a third party"
            print(f"{printable(result.domain)} explains: {result.explanation}", file=out)
    return EXIT.get(result.status, TEMPERROR)


def _dmarc(options: argparse.Namespace, out: TextIO) -> int:
    passed = None if options.spf is None else SimpleNamespace(status="pass", domain=options.spf)
    signed = [SimpleNamespace(status="pass", domain=domain) for domain in options.dkim]
    resolver = _resolver(options)
    result = dmarc.check(
        options.domain, spf=passed, dkim=signed, resolver=resolver, mode=options.mode
    )
    if options.json:
        _print(result.to_dict(), out)
    else:
        print(result, file=out)
        if result.record is not None:
            print(f"record at {result.policy_domain}: {result.record.text}", file=out)
            for problem in result.record.problems:
                print(f"problem: {problem}", file=out)
            print(f"organizational domain: {result.organizational_domain}", file=out)
            print(f"disposition: {result.disposition}", file=out)
    return EXIT.get(result.status, TEMPERROR)


def _authres(options: argparse.Namespace, stdin: BinaryIO, out: TextIO) -> int:
    data = stdin.read(MAX_INPUT + 1)
    if len(data) > MAX_INPUT:
        raise ValueError("the input is too large")
    if options.strip:
        stripped = authres.remove(data, options.strip)
        binary = getattr(out, "buffer", None)
        if binary is None:
            out.write(stripped.decode("utf-8", "replace"))
        else:
            binary.write(stripped)
        return 0
    shown = []
    bad = False
    for value in authres.values(data):
        try:
            shown.append(authres.parse(value).to_dict())
        except ValueError as error:
            bad = True
            shown.append({"error": str(error), "text": printable(value, 500)})
    if options.json:
        _print(shown, out)
    else:
        for entry in shown:
            if "error" in entry:
                print(f"cannot be read: {entry['error']}: {entry['text']}", file=out)
                continue
            print(printable(entry["authserv_id"]), file=out)
            for result in entry["results"]:
                rest = " ".join([f"{k}={printable(v)}" for k, v in result["properties"].items()])
                reason = f" ({printable(result['reason'])})" if result["reason"] else ""
                print(f"  {result['method']}={result['result']}{reason} {rest}".rstrip(), file=out)
    if bad:
        return 1
    return 0 if shown else 2
