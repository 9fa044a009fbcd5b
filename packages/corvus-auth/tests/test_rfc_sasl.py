"""The dialogues printed in RFC 5802, 7677, 4616, 7628, 2195 and 4013, octet for octet."""

from __future__ import annotations

import base64

import pytest

from corvus_auth import sasl
from corvus_auth.sasl import (
    Challenge,
    Failure,
    NeedKeys,
    NeedSecret,
    Reason,
    Secret,
    Success,
    Verify,
    VerifyToken,
)
from corvus_auth.sasl.scram import ScramServer
from corvus_auth.sasl.simple import CramMD5Server

DUMMY = b"0123456789abcdef"

SCRAM = {
    "SCRAM-SHA-1": (
        "fyko+d2lbbFgONRv9qkxdawL",
        "3rfcNHYJY1ZVvWVs7j",
        "QSXCR+Q6sek8bf92",
        b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "SCRAM-SHA-256": (
        "rOprNGfwEbeRWgbNEkqO",
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        (
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        ),
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}


@pytest.mark.parametrize("mechanism", SCRAM)
def test_the_scram_dialogues_of_rfc_5802_and_7677_are_reproduced(mechanism: str) -> None:
    client_nonce, server_nonce, salt, c1, s1, c2, s2 = SCRAM[mechanism]
    client = sasl.client(mechanism, username="user", password="pencil", nonce=client_nonce)
    server = sasl.server(mechanism, nonce=server_nonce, dummy_key=DUMMY)
    assert isinstance(server, ScramServer)
    keys = sasl.derive_keys("pencil", base64.b64decode(salt), mechanism=mechanism)

    assert client.start() == c1
    assert server.step(c1) == NeedKeys(mechanism, "user", "")
    assert server.keys(keys) == Challenge(s1)
    assert client.step(s1) == c2
    assert server.step(c2) == Challenge(s2)
    assert client.step(s2) == b""
    assert server.step(b"") == Success("user", "user")
    client.finish()


def test_the_scram_client_takes_the_signature_as_data_with_success_too() -> None:
    client_nonce, _, _, _, s1, _, s2 = SCRAM["SCRAM-SHA-256"]
    client = sasl.client("SCRAM-SHA-256", username="user", password="pencil", nonce=client_nonce)
    client.start()
    client.step(s1)
    client.finish(s2)


def test_the_first_example_of_rfc_4616() -> None:
    machine = sasl.server("PLAIN")
    assert machine.step(None) == Challenge(b"")
    verify = machine.step(b"\0tim\0tanstaaftanstaaf")
    assert verify == Verify("tim", "", Secret("tanstaaftanstaaf"))
    assert machine.accept() == Success("tim", "tim")
    client = sasl.client("PLAIN", username="tim", password="tanstaaftanstaaf")
    assert client.start() == b"\0tim\0tanstaaftanstaaf"


def test_the_second_example_of_rfc_4616() -> None:
    machine = sasl.server("PLAIN")
    verify = machine.step(b"Ursel\0Kurt\0xipj3plmq")
    assert verify == Verify("Kurt", "Ursel", Secret("xipj3plmq"))
    # "Not authorized to requested authorization identity"
    assert machine.accept() == Failure(Reason.NOT_AUTHORIZED, authcid="Kurt")
    client = sasl.client("PLAIN", username="Kurt", password="xipj3plmq", authzid="Ursel")
    assert client.start() == b"Ursel\0Kurt\0xipj3plmq"


TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


def test_the_example_of_rfc_7628_section_4_1() -> None:
    wire = (
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI"
        "HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )
    client = sasl.client(
        "OAUTHBEARER", username="user@example.com", token=TOKEN, host="server.example.com", port=143
    )
    started = client.start()
    assert started is not None
    # The RFC's base64 has another token than its decoded form; all else agrees.
    expected = base64.b64decode(wire)
    assert started.partition(b"Bearer ")[0] == expected.partition(b"Bearer ")[0]
    machine = sasl.server("OAUTHBEARER")
    step = machine.step(expected)
    assert isinstance(step, VerifyToken)
    assert (step.authzid, step.host, step.port) == ("user@example.com", "server.example.com", "143")
    assert machine.accept() == Success("user@example.com", "user@example.com")


def test_the_failed_exchange_of_rfc_7628_section_4_3() -> None:
    machine = sasl.server(
        "OAUTHBEARER",
        scope="example_scope",
        openid_configuration="https://example.com/.well-known/openid-configuration",
    )
    first = base64.b64decode(
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9AQE="
    )
    error = base64.b64decode(
        "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYX"
        "Rpb24iOiJodHRwczovL2V4YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0="
    )
    assert machine.step(first) == Challenge(error)
    assert machine.step(base64.b64decode("AQ==")) == Failure(
        Reason.REJECTED, authcid="user@example.com"
    )


def test_the_example_of_rfc_2195() -> None:
    machine = CramMD5Server("1896.697170952", "postoffice.reston.mci.net")
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    assert machine.step(None) == Challenge(challenge)
    client = sasl.client("CRAM-MD5", username="tim", password="tanstaaftanstaaf")
    assert client.start() is None
    response = client.step(challenge)
    assert response == b"tim b913a602c7eda7a495b4e6e7334d3890"
    assert machine.step(response) == NeedSecret("tim")
    assert machine.secret(Secret("tanstaaftanstaaf")) == Success("tim", "tim")


@pytest.mark.parametrize(
    ("given", "expected"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX")],
)
def test_the_examples_of_rfc_4013(given: str, expected: str) -> None:
    assert sasl.saslprep(given) == expected


@pytest.mark.parametrize("given", ["\u0007", "\u0627\u0031"])
def test_what_rfc_4013_prohibits(given: str) -> None:
    with pytest.raises(sasl.PrepError):
        sasl.saslprep(given)
