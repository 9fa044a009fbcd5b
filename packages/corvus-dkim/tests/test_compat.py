"""dkimpy's interface; where dkimpy is installed, its own results beside ours."""

from __future__ import annotations

from typing import Any

import pytest

import corvus_dkim
from corvus_dkim import compat


@pytest.fixture
def dnsfunc(world: Any) -> Any:
    def ask(name: bytes, timeout: float = 5) -> bytes | None:
        answer = world.resolver.resolve(name.decode(), "TXT")
        return answer.records[0] if answer.records else None

    return ask


def test_sign_and_verify_take_octets_and_text(world: Any, dnsfunc: Any) -> None:
    pem = world.keys["rsa"].to_pem()
    field = compat.sign(world.message, b"rsa", b"example.com", pem.encode())
    assert field.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple;")
    assert b" x=" not in field
    assert compat.verify(field + world.message, dnsfunc=dnsfunc) is True
    text = compat.dkim_sign(
        world.message,
        "rsa",
        "example.com",
        pem,
        identity="joe@example.com",
        canonicalize=("simple", "simple"),
        include_headers=["From", "Subject"],
    )
    assert b"h=from : subject;" in text
    assert compat.dkim_verify(text + world.message, dnsfunc=dnsfunc) is True
    assert compat.verify(world.message, dnsfunc=dnsfunc) is False
    assert compat.verify((field + world.message).replace(b"Hi.", b"Ha."), dnsfunc=dnsfunc) is False


def test_lf_and_linesep_work_as_in_dkimpy(world: Any, dnsfunc: Any) -> None:
    local = world.message.replace(b"\r\n", b"\n")
    field = compat.sign(
        local, b"ed25519", b"example.com", world.keys["ed25519"],
        signature_algorithm=b"ed25519-sha256", linesep=b"\n",
    )  # fmt: skip
    assert b"\r" not in field
    assert compat.verify(field + local, dnsfunc=dnsfunc)


def test_the_class_keeps_what_it_found(world: Any, dnsfunc: Any) -> None:
    signer = compat.DKIM(world.message)
    assert not signer.present()
    field = signer.sign(b"rsa", b"example.com", world.keys["rsa"])
    assert (signer.domain, signer.selector) == (b"example.com", b"rsa")
    assert signer.signature_fields[b"a"] == b"rsa-sha256"
    verifier = compat.DKIM()
    verifier.set_message(field + world.message)
    assert verifier.present()
    assert verifier.verify(dnsfunc=dnsfunc)
    assert verifier.domain == b"example.com"
    assert verifier.selector == b"rsa"
    assert b"from" in verifier.include_headers
    assert verifier.signature_fields[b"d"] == b"example.com"
    assert verifier.result is not None
    assert verifier.result.reason == "signature verified"
    assert not verifier.verify(idx=1, dnsfunc=dnsfunc)
    assert (b"To", b" Suzie <suzie@example.net>") in verifier.headers
    assert verifier.body.startswith(b"Hi.")


def test_the_second_signature_can_be_asked_for(world: Any, dnsfunc: Any) -> None:
    one = compat.sign(world.message, b"rsa", b"example.com", world.keys["rsa"])
    broken = one.replace(b"s=rsa", b"s=gone")
    verifier = compat.DKIM(broken + one + world.message)
    with pytest.raises(compat.ValidationError, match="no key"):
        verifier.verify(dnsfunc=dnsfunc)
    assert verifier.verify(idx=1, dnsfunc=dnsfunc)
    assert not compat.verify(broken + one + world.message, dnsfunc=dnsfunc)
    junk = compat.DKIM(b"DKIM-Signature: junk\r\n" + world.message)
    with pytest.raises(compat.ValidationError, match="syntax"):
        junk.verify(dnsfunc=dnsfunc)
    assert junk.signature_fields == {}


def test_dns_functions_may_raise_and_return_text(world: Any) -> None:
    field = compat.sign(world.message, b"rsa", b"example.com", world.keys["rsa"])

    def late(name: bytes, timeout: float = 5) -> bytes:
        raise compat.DnsTimeoutError("late")

    def text(name: bytes, timeout: float = 5) -> str:
        assert name == b"rsa._domainkey.example.com."
        return corvus_dkim.key_record(world.keys["rsa"])

    with pytest.raises(compat.DnsTimeoutError):
        compat.DKIM(field + world.message).verify(dnsfunc=late)
    assert compat.verify(field + world.message, dnsfunc=text)
    errors: list[str] = []

    class Log:
        def error(self, message: str) -> None:
            errors.append(message)

    assert not compat.verify(field + world.message, dnsfunc=late, logger=Log())
    assert "timed out" in errors[0]


def test_short_keys_can_be_refused(world: Any, dnsfunc: Any) -> None:
    field = compat.sign(world.message, b"rsa", b"example.com", world.keys["rsa"])
    assert not compat.verify(field + world.message, dnsfunc=dnsfunc, minkey=4096)
    assert compat.verify(field + world.message, dnsfunc=dnsfunc, minkey=512)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"identity": b"x@notexample.com"}, compat.ParameterError),
        ({"length": True}, compat.ParameterError),
        ({"include_headers": [b"subject"]}, compat.ParameterError),
        ({"include_headers": [b"from", b"received"]}, compat.ParameterError),
        ({"signature_algorithm": b"rsa-sha1"}, compat.ParameterError),
        ({"signature_algorithm": b"ed25519-sha256"}, compat.KeyFormatError),
        ({"tlsrpt": True}, compat.ParameterError),
        ({"canonicalize": (b"nowsp", b"simple")}, compat.ParameterError),
        ({"privkey": b"junk"}, compat.KeyFormatError),
        ({"message": b"Subject: x\n\n"}, compat.MessageFormatError),
        ({"message": b"From: x\nFrom: y\n\n"}, compat.MessageFormatError),
    ],
)
def test_what_is_refused_raises_dkimpys_exceptions(
    world: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    arguments: dict[str, Any] = {
        "message": world.message,
        "selector": b"rsa",
        "domain": b"example.com",
        "privkey": world.keys["rsa"],
        **options,
    }
    assert issubclass(error, compat.DKIMException)
    with pytest.raises(error):
        compat.sign(**arguments)


def test_the_lists_of_fields_can_be_changed(world: Any) -> None:
    signer = compat.DKIM(world.message + b"")
    signer.add_should_not([b"Subject", b"date", b"x-a"])
    assert b"x-a" in signer.should_not_sign
    assert b"subject" not in signer.should_not_sign, "it is frozen"
    signer.add_frozen([b"X-B", b"x-a"])
    assert b"x-b" in signer.frozen_sign
    assert b"x-a" not in signer.frozen_sign
    assert signer.default_sign_headers().count(b"from") == 2
    assert b"received" not in signer.all_sign_headers()
    field = signer.sign(
        b"rsa", b"example.com", world.keys["rsa"], signature_algorithm=b"rsa-sha256",
        include_headers=signer.all_sign_headers(),
    )  # fmt: skip
    assert b"x-b" in field


def test_chains_are_sealed_and_verified(world: Any, dnsfunc: Any) -> None:
    arrived = b"Authentication-Results: mx.example; spf=pass smtp.mailfrom=a@b.example\r\n"
    message = arrived + world.message
    for arrived in (message, message.replace(b"\r\n", b"\n")):
        fields = compat.arc_sign(
            arrived, b"rsa", b"example.com", world.keys["rsa"], b"mx.example", timestamp="5"
        )
        assert [f.partition(b":")[0] for f in fields] == [
            b"ARC-Seal",
            b"ARC-Message-Signature",
            b"ARC-Authentication-Results",
        ]
        sealed = b"".join(fields) + message
        status, sets, reason = compat.arc_verify(sealed, dnsfunc=dnsfunc)
        assert (status, reason) == (compat.CV_Pass, "success")
        assert sets[0]["as-domain"] == b"example.com"
        assert sets[0]["ams-valid"] is True
    assert compat.arc_verify(message, dnsfunc=dnsfunc)[0] == compat.CV_None
    assert compat.arc_verify(sealed + b"x", dnsfunc=dnsfunc)[0] == compat.CV_Fail
    assert compat.arc_sign(message, b"rsa", b"example.com", world.keys["rsa"], "other") == []
    with pytest.raises(compat.MessageFormatError):
        compat.arc_sign(
            b"From: second@example.com\r\n" + message, "rsa", "example.com", world.keys["rsa"],
            "mx.example",
        )  # fmt: skip


def test_the_systems_dns_is_asked_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    dns = pytest.importorskip("corvus_dkim.dns")
    answers = {"a": ("ok", (b"v=DKIM1; p=",)), "b": ("nxdomain", ()), "c": ("timeout", ())}

    class Resolver:
        def __init__(self, lifetime: float) -> None:
            pass

        def resolve(self, name: str, rdtype: str) -> corvus_dkim.Answer:
            status, records = answers[name]
            return corvus_dkim.Answer(status, records)  # type: ignore[arg-type]  # a test's word

    monkeypatch.setattr(dns, "DNSResolver", Resolver)
    assert compat.get_txt(b"a.") == b"v=DKIM1; p="
    assert compat.get_txt("b") is None
    with pytest.raises(compat.DnsTimeoutError):
        compat.get_txt(b"c.")


def test_signatures_are_the_same_call_as_dkimpys() -> None:
    dkim = pytest.importorskip("dkim")
    import inspect

    for name in ("sign", "verify", "arc_sign", "arc_verify"):
        theirs = list(inspect.signature(getattr(dkim, name)).parameters)
        ours = list(inspect.signature(getattr(compat, name)).parameters)
        assert ours == theirs
    for name in dir(dkim):
        found = getattr(dkim, name)
        if isinstance(found, type) and issubclass(found, dkim.DKIMException):
            assert hasattr(compat, name)
    for method in ("sign", "verify", "present", "add_frozen", "add_should_not"):
        assert list(inspect.signature(getattr(dkim.DKIM, method)).parameters) == list(
            inspect.signature(getattr(compat.DKIM, method)).parameters
        )
