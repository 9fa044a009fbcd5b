"""The command ``corvus-dkim``: sign, verify, keygen, record.

Exit codes: 0 pass, 1 fail, 2 none (no signature), 75 temporary (DNS did not answer); 64 the command
is used wrongly, 65 what was given cannot be used, 66 a file cannot be read, 69 dnspython is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from corvus_dkim import arc, rotation
from corvus_dkim.errors import DKIMError
from corvus_dkim.key import PrivateKey, generate_key
from corvus_dkim.line_ends import normalise
from corvus_dkim.lookup import Answer, Lookup, ZoneResolver
from corvus_dkim.policy import Policy
from corvus_dkim.record import bind_record, key_record
from corvus_dkim.result import SignatureResult, Status
from corvus_dkim.sign import EXPIRES_IN, Signer, sign_with
from corvus_dkim.verify import verify

if TYPE_CHECKING:
    from corvus_dkim.dns import DNSResolver

PASS: Final = 0
FAIL: Final = 1
NONE: Final = 2
TEMPORARY: Final = 75  # EX_TEMPFAIL
USAGE: Final = 64
DATA: Final = 65
NO_INPUT: Final = 66
UNAVAILABLE: Final = 69

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class _Failed(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with 64: argparse's own 2 is "none" here."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; see the module for their meaning."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.run
    try:
        code = command(arguments)
        sys.stdout.flush()
    except _Failed as failed:
        print(f"corvus-dkim: {failed}", file=sys.stderr)
        return failed.code
    except (DKIMError, ValueError) as error:
        print(f"corvus-dkim: {error}", file=sys.stderr)
        return DATA
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAIL
    except OSError as error:
        print(f"corvus-dkim: {error.filename}: {error.strerror}", file=sys.stderr)
        return NO_INPUT
    return code


# The four commands.


def _sign(arguments: argparse.Namespace) -> int:
    if len(arguments.selector) != len(arguments.key):
        raise _Failed(USAGE, "as many --selector as --key")
    password = _password(arguments)
    canonicalization = arguments.canonicalization.split("/")
    if len(canonicalization) != 2:
        raise _Failed(USAGE, "--canonicalization is such as relaxed/simple")
    signers = [
        Signer(
            arguments.domain,
            selector,
            _read(key),
            headers=arguments.headers.split(",") if arguments.headers else None,
            expires_in=arguments.expire,
            timestamp=arguments.timestamp,
            canonicalization=(canonicalization[0], canonicalization[1]),
            identity=arguments.identity,
            password=password,
        )
        for selector, key in zip(arguments.selector, arguments.key, strict=True)
    ]
    message = _read(arguments.file)
    if arguments.normalise:
        message = normalise(message)
    fields = sign_with(signers, message)
    if arguments.json:
        _print_json({"fields": fields.decode("ascii")}, arguments.output)
    else:
        _write(arguments.output, fields if arguments.field_only else fields + message)
    return PASS


def _verify(arguments: argparse.Namespace) -> int:
    policy = Policy(
        minimum_rsa_bits=arguments.minimum_rsa_bits,
        accept_body_length=arguments.accept_body_length,
        check_expiry=not arguments.ignore_expiry,
        normalise_line_ends=arguments.normalise,
    )
    message = _read(arguments.file)
    resolver = _resolver(arguments)
    now = arguments.now
    results = verify(message, resolver=resolver, now=now, policy=policy)
    chain = (
        arc.verify(message, resolver=resolver, now=now, policy=policy) if arguments.arc else None
    )
    if arguments.json:
        shown: dict[str, Any] = {"signatures": [result.to_dict() for result in results]}
        if chain is not None:
            shown["arc"] = chain.to_dict()
        _print_json(shown)
    else:
        for result in results:
            print(_line(result))
        if not results:
            print("none: no DKIM-Signature")
        if chain is not None:
            print(f"arc={chain.status}: {chain.reason}")
    return _code(results)


def _code(results: Sequence[SignatureResult]) -> int:
    statuses = {result.status for result in results}
    if not statuses:
        return NONE
    if Status.PASS in statuses:
        return PASS
    return TEMPORARY if Status.TEMPERROR in statuses else FAIL


def _line(result: SignatureResult) -> str:
    who = f"d={result.domain or '?'} s={result.selector or '?'} a={result.algorithm or '?'}"
    bits = f" {result.key_bits} bits" if result.key_bits else ""
    secure = " DNSSEC" if result.secure else ""
    return f"{result.status}: {who}{bits}{secure}: {result.reason}"


def _keygen(arguments: argparse.Namespace) -> int:
    key = generate_key("ed25519" if arguments.ed25519 else "rsa", arguments.rsa)
    text = key.to_pem(_password(arguments))
    if arguments.output == "-":
        if arguments.json:
            raise _Failed(USAGE, "--json needs -o FILE: a private key is no part of a report")
        sys.stdout.write(text)
        sys.stdout.flush()
        print(_record_text(key, arguments), file=sys.stderr)
        return PASS
    # Mode 0600 from the first moment on, and never over a key that is there.
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if arguments.force else os.O_EXCL)
    try:
        descriptor = os.open(arguments.output, flags, 0o600)
    except FileExistsError:
        raise _Failed(DATA, f"{arguments.output} exists; --force overwrites it") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
    _show_record(key, arguments)
    return PASS


def _record(arguments: argparse.Namespace) -> int:
    key = PrivateKey.load(_read(arguments.key), _password(arguments))
    if not arguments.check:
        _show_record(key, arguments)
        return PASS
    if not (arguments.domain and arguments.selector):
        raise _Failed(USAGE, "--check needs --domain and --selector")
    keys = [(arguments.selector, key)]
    found = rotation.check(arguments.domain, keys, resolver=_resolver(arguments))
    state = found[arguments.selector]
    if arguments.json:
        _print_json({"dns": str(state), **_facts(key, arguments)})
    else:
        print(f"{arguments.selector}._domainkey.{arguments.domain}: {state}")
    if state is rotation.DNSState.UNKNOWN:
        return TEMPORARY
    if state is rotation.DNSState.MISSING:
        return NONE
    return PASS if state is rotation.DNSState.MATCHES else FAIL


def _facts(key: PrivateKey, arguments: argparse.Namespace) -> dict[str, Any]:
    record = key_record(key, strict=arguments.strict, testing=arguments.testing)
    facts: dict[str, Any] = {
        "type": key.kind,
        "bits": key.bits,
        "fingerprint": key.fingerprint(),
        "record": record,
    }
    if arguments.domain and arguments.selector:
        facts["name"] = f"{arguments.selector}._domainkey.{arguments.domain}"
        facts["bind"] = bind_record(arguments.domain, arguments.selector, record)
    return facts


def _record_text(key: PrivateKey, arguments: argparse.Namespace) -> str:
    facts = _facts(key, arguments)
    text: str = facts["record"]
    if "bind" in facts:
        text = facts["bind"] if arguments.bind else f"{facts['name']}. TXT\n{text}"
    return text


def _show_record(key: PrivateKey, arguments: argparse.Namespace) -> None:
    if arguments.json:
        _print_json(_facts(key, arguments))
    else:
        print(_record_text(key, arguments))


# What they share.


def _read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def _write(name: str, octets: bytes) -> None:
    if name == "-":
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
    else:
        Path(name).write_bytes(octets)


def _print_json(value: Any, name: str = "-") -> None:
    _write(name, json.dumps(value, indent=2).encode("ascii") + b"\n")


def _password(arguments: argparse.Namespace) -> bytes | None:
    if arguments.password_file is None:
        return None
    return Path(arguments.password_file).read_bytes().rstrip(b"\r\n")


def _resolver(arguments: argparse.Namespace) -> Any:
    if arguments.zone is not None:
        return ZoneResolver.from_json(_read(arguments.zone))
    return _DNS(arguments.resolver or "")


class _DNS:
    """Real DNS, from the first question on: a message without signatures needs none."""

    def __init__(self, server: str) -> None:
        self._server = server

    def resolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        return self._resolver().resolve_many(lookups)

    def resolve(self, name: str, rdtype: str) -> Answer:
        return self._resolver().resolve(name, rdtype)

    @cache  # noqa: B019 - it lives as long as the command
    def _resolver(self) -> DNSResolver:
        try:
            from corvus_dkim.dns import DNSResolver
        except ImportError:
            raise _Failed(
                UNAVAILABLE,
                "asking DNS needs dnspython (pip install 'corvus-dkim[dns]'), or --zone",
            ) from None
        address, _, port = self._server.partition("#")
        return DNSResolver([address] if address else (), port=int(port or 53))


def _duration(text: str) -> int | None:
    if text == "never":
        return None
    match = re.fullmatch(r"([0-9]{1,9})([smhdw]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError("a time such as 7d, 36h, 900s, or never")
    return int(match[1]) * _UNITS[match[2]]


_EXAMPLES: Final = {
    "sign": """examples:
  corvus-dkim sign --domain example.com --selector s1 --key s1.pem < mail > signed
  corvus-dkim sign -d example.com -s r1 -k rsa.pem -s e1 -k ed25519.pem mail -o signed
  corvus-dkim sign -d example.com -s s1 -k s1.pem --field-only --normalise mail.lf""",
    "verify": """examples:
  corvus-dkim verify < mail
  corvus-dkim verify --json --arc --resolver 192.0.2.53 mail
  corvus-dkim verify --zone zone.json mail
    where zone.json is {"s1._domainkey.example.com": {"TXT": ["v=DKIM1; p=..."]}}

exit codes: 0 a signature passes, 1 none of them does, 2 there is none,
            75 DNS did not answer""",
    "keygen": """examples:
  corvus-dkim keygen --domain example.com --selector s1 -o s1.pem
  corvus-dkim keygen --ed25519 -d example.com -s e1 -o e1.pem --bind""",
    "record": """examples:
  corvus-dkim record --key s1.pem
  corvus-dkim record --key s1.pem --domain example.com --selector s1 --bind
  corvus-dkim record --key s1.pem -d example.com -s s1 --check""",
}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="corvus-dkim", description="Sign and verify mail with DKIM (RFC 6376, 8301, 8463)."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=_EXAMPLES[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        made.add_argument("--json", action="store_true", help="write JSON")
        return made

    sign = command("sign", _sign, "Put a DKIM-Signature in front of a message.")
    sign.add_argument("file", nargs="?", default="-", help="the message; - is standard input")
    sign.add_argument("-d", "--domain", required=True, help="d=: who takes responsibility")
    sign.add_argument(
        "-s", "--selector", required=True, action="append", help="s=: which key; may be repeated"
    )
    sign.add_argument(
        "-k", "--key", required=True, action="append", help="the private key (PEM); as often as -s"
    )
    sign.add_argument("-i", "--identity", help="i=: an address within the domain")
    sign.add_argument(
        "-c", "--canonicalization", default="relaxed/relaxed", help="of header and body"
    )
    sign.add_argument("--headers", help="field names to sign, separated by commas")
    sign.add_argument(
        "-x", "--expire", type=_duration, default=EXPIRES_IN, help="7d by default, or never"
    )
    sign.add_argument("--timestamp", type=int, help="t= instead of the clock")
    sign.add_argument(
        "--normalise", action="store_true", help="turn LF into CRLF, in what is written too"
    )
    sign.add_argument("--field-only", action="store_true", help="write the field alone")
    sign.add_argument("-o", "--output", default="-", help="a file; - is standard output")
    _add_password(sign)

    verify = command("verify", _verify, "Verify all DKIM signatures of a message.")
    verify.add_argument("file", nargs="?", default="-", help="the message; - is standard input")
    _add_dns(verify)
    verify.add_argument("--arc", action="store_true", help="verify the ARC chain as well")
    verify.add_argument("--now", type=float, help="seconds since 1970 instead of the clock")
    verify.add_argument("--normalise", action="store_true", help="take LF for CRLF")
    verify.add_argument("--minimum-rsa-bits", type=int, default=1024, metavar="BITS")
    verify.add_argument("--accept-body-length", action="store_true", help="accept l=")
    verify.add_argument("--ignore-expiry", action="store_true", help="do not look at x=")

    keygen = command("keygen", _keygen, "Make a key, and print the record to publish.")
    kind = keygen.add_mutually_exclusive_group()
    kind.add_argument("--rsa", type=int, default=2048, metavar="BITS", help="2048 by default")
    kind.add_argument("--ed25519", action="store_true", help="an Ed25519 key (RFC 8463)")
    keygen.add_argument("-o", "--output", default="-", help="the file of the private key")
    keygen.add_argument("--force", action="store_true", help="overwrite it")
    _add_record(keygen)

    record = command("record", _record, "Print the DNS record of a key, or compare it with DNS.")
    record.add_argument("-k", "--key", required=True, help="the private key; - is standard input")
    record.add_argument("--check", action="store_true", help="compare with DNS")
    _add_record(record)
    _add_dns(record)
    return parser


def _add_record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-d", "--domain", help="the signing domain")
    parser.add_argument("-s", "--selector", help="the selector")
    parser.add_argument("--bind", action="store_true", help="as a line of a zone file")
    parser.add_argument("--strict", action="store_true", help="t=s: no i= in subdomains")
    parser.add_argument("--testing", action="store_true", help="t=y")
    _add_password(parser)


def _add_dns(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--zone", metavar="FILE", help="answers from JSON instead of DNS")
    where.add_argument("--resolver", metavar="ADDRESS[#PORT]", help="a name server to ask")


def _add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--password-file", metavar="FILE", help="the pass phrase of the key")
