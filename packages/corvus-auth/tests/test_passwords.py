"""Passwords: kept, checked, chosen."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from corvus_auth import passwords, sasl
from corvus_auth.passwords import InvalidHash, Mismatch, Parameters
from corvus_auth.sasl import Secret, Success
from corvus_auth.sasl.scram import ScramServer

#: As cheap as argon2 allows, for tests.
CHEAP = Parameters(time_cost=1, memory_kib=8, parallelism=1)

argon2 = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("argon2") is None,
    reason="argon2-cffi is not installed (extra [passwords])",
)


@argon2
def test_a_password_is_hashed_and_verified() -> None:
    stored = passwords.hash("Corvus2026!", parameters=CHEAP)
    assert stored.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    passwords.verify(stored, "Corvus2026!")
    passwords.verify(stored, b"Corvus2026!")
    passwords.verify(stored, Secret("Corvus2026!"))
    for wrong in ("corvus2026!", "", "Corvus2026!\0", "\x07", b"\xff", "x" * 2000):
        with pytest.raises(Mismatch):
            passwords.verify(stored, wrong)


@argon2
def test_salts_differ_and_forms_of_unicode_do_not() -> None:
    one, two = (passwords.hash("p\u00e4ssword", parameters=CHEAP) for _ in range(2))
    assert one != two
    passwords.verify(one, "pa\u0308ssword")


@argon2
def test_the_default_is_what_owasp_asks_for() -> None:
    stored = passwords.dummy_hash()
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.dummy_hash() is stored
    assert not passwords.needs_rehash(stored)
    with pytest.raises(Mismatch):
        passwords.verify(stored, "anything")


@argon2
def test_parameters_can_be_raised_later() -> None:
    stored = passwords.hash("Corvus2026!", parameters=CHEAP)
    assert passwords.needs_rehash(stored)
    assert not passwords.needs_rehash(stored, parameters=CHEAP)
    for more in (Parameters(2, 8, 1), Parameters(1, 16, 1), Parameters(1, 8, 2)):
        assert passwords.needs_rehash(stored, parameters=more)


@argon2
@pytest.mark.parametrize("secret", ["", "a\x07", "\r\n", b"\xff", "x" * 2000])
def test_what_cannot_be_typed_cannot_be_a_password(secret: str | bytes) -> None:
    with pytest.raises(ValueError):
        passwords.hash(secret, parameters=CHEAP)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=8,t=65,p=1$c29tZXNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=8,t=1,p=65$c29tZXNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzYWx0$" + "A" * 43 + "\n",
        "$corvus-app$v=1$",
        "$corvus-app$v=1$zz$zz",
        "$corvus-app$v=1$00$00",
    ],
)
def test_a_hash_that_is_none_is_refused_before_it_costs_anything(stored: str) -> None:
    with pytest.raises(InvalidHash):
        passwords.verify(stored, "x")
    if not stored.startswith("$corvus-app$"):
        with pytest.raises(InvalidHash):
            passwords.needs_rehash(stored)


@argon2
def test_a_damaged_hash_does_not_match() -> None:
    with pytest.raises(passwords.PasswordError):
        passwords.verify("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzYWx0$" + "A" * 41, "x")


def test_without_the_extra_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("argon2"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"corvus-auth\[passwords\]"):
        passwords.hash("x", parameters=Parameters(1, 9, 1))


# App passwords.


def test_an_app_password_verifies_and_is_not_rehashed() -> None:
    made = passwords.new_app_password()
    passwords.verify(made.hash, made.secret)
    assert not passwords.needs_rehash(made.hash)
    with pytest.raises(Mismatch):
        passwords.verify(made.hash, "wrong")
    with pytest.raises(Mismatch):
        passwords.verify(made.hash, "\x07")
    text = made.secret.reveal()
    assert text.isascii()
    assert len(text.replace("-", "")) == 26  # 128 bits, five to a letter
    assert text not in repr(made)
    assert passwords.new_app_password().secret != made.secret


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_an_app_password_logs_in_by_scram(mechanism: str) -> None:
    made = passwords.new_app_password()
    keys = made.scram_sha_256 if mechanism == "SCRAM-SHA-256" else made.scram_sha_1
    client = sasl.client(mechanism, username="a", password=made.secret, nonce="c")
    server = sasl.server(mechanism, nonce="s", dummy_key=b"x" * 16)
    assert isinstance(server, ScramServer)
    server.step(client.start())
    first = server.keys(keys)
    assert isinstance(first, sasl.Challenge)
    last = server.step(client.step(first.data))
    assert isinstance(last, sasl.Challenge)
    assert server.step(client.step(last.data)) == Success("a", "a")


# The policy.


@pytest.mark.parametrize(
    "secret",
    [
        "Corvus2026!",
        "correct horse battery",
        "xk29-vvma-0q",
        "\u00fcberm\u00e4\u00dfig gut",
        "2026-11-22 rain",
    ],
)
def test_a_good_password_is_fine(secret: str) -> None:
    assert passwords.check_policy(secret, user="alice@corvus.local") == ()
    assert passwords.check_policy(Secret(secret)) == ()


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "empty"),
        ("a\x07", "empty"),
        ("short", "shorter"),
        ("password123", "first that anybody"),
        ("P@ssw0rd!!!", "first that anybody"),
        ("aaaaaaaaaaaa", "first that anybody"),
        ("12345678901", "first that anybody"),
        ("qwertyuiop12", "first that anybody"),
        ("zyxwvutsrqpo", "first that anybody"),
        ("alice-in-wonderland", "own name"),
    ],
)
def test_a_bad_password_is_told_why(secret: str, said: str) -> None:
    assert any(said in text for text in passwords.check_policy(secret, user="alice@example.com"))
