"""Keys, a zone and generated messages for all tests of corvus-dkim."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import corvus_dkim
from corvus_dkim import Policy, PrivateKey, SignatureResult, Signer, ZoneResolver

NOW = 1_700_000_000
DOMAIN = "example.com"

MESSAGE = (
    b"Received: from a.example by b.example; Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"From: Joe <joe@example.com>\r\n"
    b"To: Suzie <suzie@example.net>\r\n"
    b"Subject: Is dinner\r\n ready?\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"Message-ID: <1@example.com>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"\r\n"
    b"Hi.\r\n\r\nWe lost the game.  \t Are you hungry yet? \r\n\r\nJoe.\r\n\r\n"
)


class World:
    """Two keys, their records, and a clock that stands still."""

    def __init__(self, rsa: PrivateKey, ed25519: PrivateKey) -> None:
        self.now = NOW
        self.domain = DOMAIN
        self.message = MESSAGE
        self.keys = {"rsa": rsa, "ed25519": ed25519}
        self.zone: dict[str, Any] = {
            self.name(selector): {"TXT": [corvus_dkim.key_record(key)]}
            for selector, key in self.keys.items()
        }

    def name(self, selector: str) -> str:
        return f"{selector}._domainkey.{DOMAIN}"

    @property
    def resolver(self) -> ZoneResolver:
        return ZoneResolver(self.zone)

    def publish(self, selector: str, *records: str | bytes) -> None:
        self.zone[self.name(selector)] = {"TXT": list(records)}

    def signer(self, selector: str = "ed25519", **options: Any) -> Signer:
        options.setdefault("timestamp", self.now)
        return Signer(self.domain, selector, self.keys[selector], **options)

    def signed(self, message: bytes = MESSAGE, selector: str = "ed25519", **options: Any) -> bytes:
        return self.signer(selector, **options).sign(message) + message

    def results(
        self, message: bytes, *, policy: Policy = Policy(), now: float = NOW
    ) -> list[SignatureResult]:
        return corvus_dkim.verify(message, resolver=self.resolver, now=now, policy=policy)

    def result(
        self, message: bytes, *, policy: Policy = Policy(), now: float = NOW
    ) -> SignatureResult:
        (result,) = self.results(message, policy=policy, now=now)
        return result

    def resigned(
        self,
        change: Callable[[bytes], bytes],
        message: bytes = MESSAGE,
        selector: str = "ed25519",
        **options: Any,
    ) -> bytes:
        """
        *message* with a signature field whose text *change* has edited before it was signed.

        So the signature is good, and only what the field says can speak against it.
        """
        field = self.signer(selector, **options).sign(message)
        start = field.rindex(b" b=") + 3
        draft = change(field[:start]) + b"AAAA\r\n"
        parsed = corvus_dkim.signature.parse(draft.partition(b":")[2][:-2])
        header = corvus_dkim.header.Header(
            draft + message[: corvus_dkim.header.find_body(message)[0]]  # type: ignore[index]
        )
        signature = self.keys[selector].sign(parsed.data_hash(header, 0))
        return draft[:-6] + corvus_dkim.key.to_base64(signature).encode() + b"\r\n" + message


@pytest.fixture(scope="session")
def rsa_key() -> PrivateKey:
    return corvus_dkim.generate_key("rsa", 2048)


@pytest.fixture(scope="session")
def small_rsa_key() -> PrivateKey:
    return corvus_dkim.generate_key("rsa", 1024)


@pytest.fixture(scope="session")
def ed25519_key() -> PrivateKey:
    return corvus_dkim.generate_key("ed25519")


@pytest.fixture
def world(rsa_key: PrivateKey, ed25519_key: PrivateKey) -> World:
    return World(rsa_key, ed25519_key)


@pytest.fixture
def fresh_records() -> Iterator[None]:
    """No key record is remembered from an earlier test."""
    corvus_dkim.record._parse.cache_clear()
    yield
    corvus_dkim.record._parse.cache_clear()


def _text(random_: random.Random, length: int) -> bytes:
    words = [b"the", b"of", b"a", b"invoice", b"report,", b"=20", b"M\xc3\xbcller", b"x" * 60, b"-"]
    spaces = [b" ", b" ", b" ", b"  ", b"\t", b" \t "]
    line = b""
    while len(line) < length:
        line += random_.choice(words) + random_.choice(spaces)
    return line if random_.random() < 0.3 else line.rstrip()


def _parted(field: bytes) -> tuple[bytes, bytes, bytes]:
    return field.partition(b":")


def generate_messages(count: int, seed: int = 1, *, one_blank: bool = False) -> list[bytes]:
    """
    Messages that a mail system may carry: folds, blanks in odd places, repeats, empty bodies.

    All lines end in CRLF and none is longer than 990 octets.

    Args:
        count: How many.
        seed: Which.
        one_blank: Whether each colon of the header has exactly one blank behind it.
    """
    random_ = random.Random(seed)
    messages = []
    for number in range(count):
        fields = [
            b"From: Joe <joe@example.com>",
            b"To:" + b" " * random_.randrange(3) + b"suzie@example.net",
            b"Subject: " + _text(random_, random_.randrange(50)).strip(),
            b"Date: Tue, 14 Nov 2023 22:13:20 +0000",
            b"Message-ID: <%d.%d@example.com>" % (seed, number),
        ]
        if random_.random() < 0.5:
            fields.append(b"Subject-Prefix:\t" + _text(random_, 20).strip())
        if random_.random() < 0.5:
            fields.append(b"MIME-Version: 1.0")
            fields.append(b"Content-Type: text/plain;\r\n\tcharset=utf-8;\r\n  format=flowed")
        for _ in range(random_.randrange(3)):
            fields.insert(0, b"Received: from x by y;\r\n\t" + _text(random_, 20).strip())
        if random_.random() < 0.3:
            fields.append(b"References: <a@b.example>\r\n <c@d.example>")
        if one_blank:
            fields = [name + b": " + value.strip() for name, _, value in map(_parted, fields)]
        lines = [
            _text(random_, random_.choice([0, 5, 40, 70, 200]))
            for _ in range(random_.randrange(12))
        ]
        lines += [b""] * random_.choice([0, 0, 0, 1, 3])
        if random_.random() < 0.2:
            lines += [b" ", b"\t "]
        body = b"".join(line + b"\r\n" for line in lines)
        messages.append(b"\r\n".join(fields) + b"\r\n\r\n" + body)
    return messages


@pytest.fixture(scope="session")
def generated() -> Callable[..., list[bytes]]:
    return generate_messages
