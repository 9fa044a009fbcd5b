"""The SASL machines: both sides of each mechanism, and calls out of turn."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from corvus_auth import sasl
from corvus_auth.sasl import (
    Challenge,
    ClientMechanism,
    Failure,
    NeedKeys,
    NeedSecret,
    Reason,
    SASLError,
    SASLUsageError,
    Secret,
    ServerMechanism,
    StoredKeys,
    Success,
    Verify,
    VerifyAnonymous,
    VerifyExternal,
    VerifyToken,
)
from corvus_auth.sasl.scram import ScramServer
from corvus_auth.sasl.simple import CramMD5Server

DUMMY = b"0123456789abcdef"
EXPORTER = {"tls-exporter": b"\x01" * 32, "tls-server-end-point": b"\x02" * 32}


def scram(name: str = "SCRAM-SHA-256", **more: Any) -> ScramServer:
    machine = sasl.server(name, nonce="server-nonce", dummy_key=DUMMY, **more)
    assert isinstance(machine, ScramServer)
    return machine


def scram_client(name: str = "SCRAM-SHA-256", **more: Any) -> ClientMechanism:
    given = {"username": "alice", "password": "pencil", "nonce": "client-nonce"} | more
    return sasl.client(name, **given)


def answer(machine: ServerMechanism, step: sasl.Step, password: str = "pencil") -> sasl.Step:
    """Do what a server would do for alice, whose password is *password*."""
    match step:
        case Verify():
            right = step.authcid == "alice" and step.password == Secret(password)
            return machine.accept() if right else machine.reject()
        case VerifyToken():
            return machine.accept("alice") if step.token == Secret("token") else machine.reject()
        case VerifyExternal() | VerifyAnonymous():
            return machine.accept("alice")
        case NeedKeys():
            assert isinstance(machine, ScramServer)
            keys = sasl.derive_keys(password, b"salt" * 4, mechanism=step.mechanism)
            return machine.keys(keys if step.authcid == "alice" else None)
        case NeedSecret():
            assert isinstance(machine, CramMD5Server)
            return machine.secret(Secret(password) if step.authcid == "alice" else None)
        case _:
            return step


def talk(client: ClientMechanism, machine: ServerMechanism, *, initial: bool = True) -> sasl.Step:
    """Let both sides talk; without initial responses the first challenge is empty."""
    step = machine.step(client.start() if initial else None)
    for _ in range(10):
        step = answer(machine, step)
        if isinstance(step, Challenge):
            step = machine.step(client.step(step.data))
        elif isinstance(step, Success | Failure):
            assert machine.done
            if isinstance(step, Success):
                client.finish()
            return step
    raise AssertionError("it does not end")


def pair(name: str, **client: Any) -> tuple[ClientMechanism, ServerMechanism]:
    bindings: dict[str, Any] = {"channel_bindings": EXPORTER} if name.endswith("-PLUS") else {}
    machine = sasl.server(name, nonce="server-nonce", dummy_key=DUMMY, hostname="mx", **bindings)
    given: dict[str, Any] = {
        "username": "alice",
        "password": "pencil",
        "token": "token",
        "nonce": "client",
    }
    if name.endswith("-PLUS"):
        given["channel_binding"] = ("tls-exporter", EXPORTER["tls-exporter"])
    return sasl.client(name, **given | client), machine


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("name", sasl.MECHANISMS)
def test_both_sides_of_each_mechanism_understand_each_other(name: str, initial: bool) -> None:
    client, machine = pair(name)
    assert client.name == machine.name == name
    assert not machine.done
    step = talk(client, machine, initial=initial)
    assert isinstance(step, Success)
    assert step.identity == "alice"


@pytest.mark.parametrize("name", [n for n in sasl.MECHANISMS if n not in ("EXTERNAL", "ANONYMOUS")])
def test_wrong_credentials_and_unknown_users_fail_alike(name: str) -> None:
    outcomes = []
    for wrong in (
        {"password": "wrong", "token": "wrong"},
        {"username": "mallory", "token": "wrong"},
    ):
        client, machine = pair(name, **wrong)
        step = talk(client, machine)
        assert isinstance(step, Failure)
        assert step.text
        outcomes.append(step.reason)
    assert outcomes == [Reason.REJECTED, Reason.REJECTED]


@pytest.mark.parametrize("name", ["PLAIN", "SCRAM-SHA-256", "EXTERNAL"])
def test_nobody_becomes_somebody_else_by_default(name: str) -> None:
    client, machine = pair(name, authzid="postmaster")
    step = machine.step(client.start())
    if isinstance(step, VerifyExternal):
        assert step.authzid == "postmaster"
        assert machine.accept() == Failure(Reason.NOT_AUTHORIZED)
        return
    step = answer(machine, step)
    if isinstance(step, Challenge):
        step = machine.step(client.step(step.data))
    assert isinstance(step, Failure)
    assert step.reason is Reason.NOT_AUTHORIZED


def test_somebody_else_may_be_allowed() -> None:
    machine = sasl.server("PLAIN")
    machine.step(b"postmaster\0alice\0pencil")
    assert machine.accept("postmaster") == Success("postmaster", "alice")
    client, server = scram_client(authzid="postmaster"), scram()
    need = server.step(client.start())
    assert need == NeedKeys("SCRAM-SHA-256", "alice", "postmaster")
    keys = sasl.derive_keys("pencil", b"salt" * 4)
    first = server.keys(keys, identity="postmaster")
    assert isinstance(first, Challenge)
    last = server.step(client.step(first.data))
    assert isinstance(last, Challenge)
    assert server.step(client.step(last.data)) == Success("postmaster", "alice")


# PLAIN, LOGIN and friends.


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"alice",
        b"\0alice",
        b"\0alice\0pen\0cil",
        b"\0\0pencil",
        b"\0alice\0",
        b"\0al\xffice\0pencil",
        b"\0alice\0pen\xffcil",
        b"\0al\x07ice\0pencil",
        b"x\r\ny\0alice\0pencil",
        b"\0" + "\u0627\u0031".encode() + b"\0pencil",
        b"\0" * 1000,
        b"\0a\0" + b"x" * 20_000,
    ],
)
def test_plain_that_does_not_follow_the_grammar(message: bytes) -> None:
    step = sasl.server("PLAIN").step(message)
    assert isinstance(step, Failure)
    assert step.reason is Reason.MALFORMED


def test_user_names_are_prepared() -> None:
    step = sasl.server("PLAIN").step("\0\u2168\u00ad\0pencil".encode())
    assert step == Verify("IX", "", Secret("pencil"))


def test_no_initial_response_and_an_empty_one_differ() -> None:
    assert sasl.server("PLAIN").step(None) == Challenge(b"")
    assert isinstance(sasl.server("PLAIN").step(b""), Failure)
    assert sasl.server("EXTERNAL").step(None) == Challenge(b"")
    assert sasl.server("EXTERNAL").step(b"") == VerifyExternal("")
    assert sasl.server("LOGIN").step(None) == Challenge(b"Username:")
    assert isinstance(sasl.server("LOGIN").step(b""), Failure)
    assert sasl.server("LOGIN").step(b"alice") == Challenge(b"Password:")


def test_a_long_later_response_is_refused_with_the_user_it_was_about() -> None:
    machine = scram()
    machine.step(scram_client().start())
    machine.keys(None)
    step = machine.step(b"x" * 20_000)
    assert step == Failure(Reason.MALFORMED, authcid="alice")
    assert step.text == "the response is too long"


def test_login_passwords_may_end_in_nul() -> None:
    machine = sasl.server("LOGIN")
    machine.step(b"alice\0")
    assert machine.step(b"pencil\0") == Verify("alice", "", Secret("pencil"))
    assert machine.reject() == Failure(Reason.REJECTED, authcid="alice")


def test_anonymous_traces_are_short() -> None:
    assert sasl.server("ANONYMOUS").step(b"sirhc") == VerifyAnonymous("sirhc")
    assert isinstance(sasl.server("ANONYMOUS").step(b"x" * 256), Failure)
    with pytest.raises(ValueError):
        sasl.client("ANONYMOUS", username="x" * 256)


def test_cram_md5_refuses_what_is_no_digest() -> None:
    for response in (b"", b"alice", b"alice ", b"alice " + b"0" * 32):
        machine = sasl.server("CRAM-MD5", nonce="n", hostname="mx")
        assert isinstance(machine, CramMD5Server)
        machine.step(None)
        step = machine.step(response)
        if isinstance(step, NeedSecret):
            step = machine.secret(Secret("pencil"))
        assert isinstance(step, Failure)
    assert isinstance(sasl.server("CRAM-MD5", nonce="n").step(b"x"), Failure)


# OAuth.


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OAUTHBEARER", b""),
        ("OAUTHBEARER", b"\x01"),
        ("OAUTHBEARER", b"n,,"),
        ("OAUTHBEARER", b"n,\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"p=x,,\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"n,b=alice,\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"n,a=al=ice,\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"n,a=,\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Bearer t\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Bearer t"),
        ("OAUTHBEARER", b"n,,\x01host=x\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Basic t\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Bearer t t\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Bearer \xff\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01a b=x\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01host=\xff\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01host=a\nb\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"n,," + b"\x01k=v" * 50 + b"\x01auth=Bearer t\x01\x01"),
        ("XOAUTH2", b"user=alice\x01\x01"),
        ("XOAUTH2", b"auth=Bearer t\x01\x01"),
        ("XOAUTH2", b"user=\x01auth=Bearer t\x01\x01"),
    ],
)
def test_oauth_that_does_not_follow_the_grammar(name: str, message: bytes) -> None:
    step = sasl.server(name).step(message)
    assert isinstance(step, Failure)
    assert step.reason is Reason.MALFORMED


def test_a_token_without_a_name_needs_an_identity() -> None:
    machine = sasl.server("OAUTHBEARER")
    machine.step(b"y,,\x01auth=bEARER abc=\x01\x01")
    assert isinstance(machine.accept(), Failure)
    machine = sasl.server("OAUTHBEARER")
    assert machine.step(b"n,,\x01auth=Bearer abc=\x01\x01") == VerifyToken("", Secret("abc="))
    assert machine.accept("alice") == Success("alice", "alice")


def test_a_refused_token_is_explained_before_the_failure() -> None:
    client, machine = pair("OAUTHBEARER", token="wrong")
    machine.step(client.start())
    error = machine.reject()
    assert error == Challenge(b'{"status":"invalid_token"}')
    assert client.step(error.data) == b"\x01"
    assert client.error == error.data  # type: ignore[attr-defined]  # of this mechanism
    assert machine.step(b"\x01") == Failure(Reason.REJECTED, authcid="alice")
    with pytest.raises(SASLError):
        client.step(b"again")


@pytest.mark.parametrize(
    "arguments",
    [
        {"token": "to ken"},
        {"token": ""},
        {"token": "tok\x01en"},
        {"token": "t\u00f6ken"},
        {"token": "t", "host": "a\x01b"},
    ],
)
def test_oauth_clients_refuse_what_would_break_the_message(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        sasl.client("OAUTHBEARER", username="alice", **arguments)  # type: ignore[arg-type]  # strings all


def test_xoauth2_user_names_have_no_separator() -> None:
    with pytest.raises(ValueError):
        sasl.client("XOAUTH2", username="a\x01auth=x", token="t")


# SCRAM.


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"n,,n=alice",
        b"x,,n=alice,r=abc",
        b"p=,,n=alice,r=abc",
        b"n,b=x,n=alice,r=abc",
        b"n,a=,n=alice,r=abc",
        b"n,,m=ext,n=alice,r=abc",
        b"n,,n=,r=abc",
        b"n,,n=al=ice,r=abc",
        b"n,,n=al=2Zice,r=abc",
        b"n,,n=\xff,r=abc",
        b"n,,n=alice,r=",
        b"n,,n=alice,r=a b",
        b"n,,n=alice,r=" + b"x" * 2000,
        b"n,,n=alice,x=abc",
        b"n,,n=alice,r=abc,m=x",
        b"n,,n=alice,r=abc,x",
        b"n,,n=alice,r=abc,x=",
    ],
)
def test_a_first_message_that_does_not_follow_the_grammar(message: bytes) -> None:
    step = scram().step(message)
    assert isinstance(step, Failure)
    assert step.reason is Reason.MALFORMED


def test_extensions_are_ignored() -> None:
    step = scram().step(b"n,,n=al=2Cice=3D,r=abc,x=1,y=2")
    assert step == NeedKeys("SCRAM-SHA-256", "al,ice=", "")


def final(change: Any) -> sasl.Step:
    client, machine = scram_client(), scram()
    machine.step(client.start())
    first = machine.keys(sasl.derive_keys("pencil", b"salt" * 4))
    assert isinstance(first, Challenge)
    return machine.step(change(client.step(first.data)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: b"", Reason.MALFORMED),
        (lambda m: m.replace(b",p=", b",q="), Reason.MALFORMED),
        (lambda m: m.replace(b",r=", b",m=x,r="), Reason.MALFORMED),
        (lambda m: m.replace(b",p=", b",m=x,p="), Reason.MALFORMED),
        (lambda m: m.replace(b"client-nonce", b"other-nonce"), Reason.MALFORMED),
        (lambda m: m.replace(b"c=biws", b"c=eSws"), Reason.CHANNEL_BINDING),
        (lambda m: m.replace(b"c=biws", b"c=*"), Reason.MALFORMED),
        (lambda m: m.replace(b",p=", b",p=AAAA"), Reason.MALFORMED),
        (lambda m: m[:-8] + b"AAAAAAA=", Reason.REJECTED),
        (lambda m: m.replace(b",p=", b",x=y,p="), Reason.REJECTED),
    ],
)
def test_a_final_message_that_is_not_right(change: Any, reason: Reason) -> None:
    step = final(change)
    assert isinstance(step, Failure)
    assert step.reason is reason
    assert step.authcid == "alice"


def test_the_last_response_is_empty() -> None:
    client, machine = scram_client(), scram()
    machine.step(client.start())
    first = machine.keys(sasl.derive_keys("pencil", b"salt" * 4))
    assert isinstance(first, Challenge)
    assert isinstance(machine.step(client.step(first.data)), Challenge)
    assert isinstance(machine.step(b"x"), Failure)


def test_unknown_users_look_like_known_ones() -> None:
    first = []
    for _ in range(2):
        machine = scram()
        machine.step(scram_client(username="mallory").start())
        step = machine.keys(None)
        assert isinstance(step, Challenge)
        first.append(step.data)
    assert first[0] == first[1]
    assert b",i=4096" in first[0]
    other = scram()
    other.step(scram_client(username="other").start())
    step = other.keys(None)
    assert isinstance(step, Challenge)
    assert step.data != first[0]


@pytest.mark.parametrize(
    ("server", "client", "binding"),
    [
        # -PLUS with another channel: a man in the middle.
        ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS", ("tls-exporter", b"\x09" * 32)),
        # A type the server does not have.
        ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS", ("tls-unique", b"\x01" * 32)),
        # The client was made to believe that there is no -PLUS.
        ("SCRAM-SHA-256", "SCRAM-SHA-256", ("tls-exporter", b"\x01" * 32)),
        # -PLUS, but no binding in the message; a binding, but not -PLUS.
        ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", None),
        ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", ("tls-exporter", b"\x01" * 32)),
    ],
)
def test_channel_bindings_that_do_not_fit(
    server: str, client: str, binding: tuple[str, bytes] | None
) -> None:
    machine = scram(server, channel_bindings=EXPORTER)
    step = talk(scram_client(client, channel_binding=binding), machine)
    assert isinstance(step, Failure)
    assert step.reason is Reason.CHANNEL_BINDING


def test_a_client_that_could_bind_says_so_where_the_server_cannot() -> None:
    client = scram_client(channel_binding=("tls-exporter", b"\x01" * 32))
    assert (client.start() or b"").startswith(b"y,,")
    assert isinstance(talk(client, scram()), Success)


def test_the_server_end_point_binding_works_too() -> None:
    binding = ("tls-server-end-point", EXPORTER["tls-server-end-point"])
    client = scram_client("SCRAM-SHA-1-PLUS", channel_binding=binding)
    assert isinstance(talk(client, scram("SCRAM-SHA-1-PLUS", channel_bindings=EXPORTER)), Success)


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"r=client-nonceS",
        b"r=client-nonce,s=c2FsdA==,i=4096",
        b"r=other,s=c2FsdA==,i=4096",
        b"r=client-nonce S,s=c2FsdA==,i=4096",
        b"m=x,r=client-nonceS,s=c2FsdA==,i=4096",
        b"r=client-nonceS,s=,i=4096",
        b"r=client-nonceS,s=!,i=4096",
        b"r=client-nonceS,s=c2FsdA==,i=0",
        b"r=client-nonceS,s=c2FsdA==,i=-1",
        b"r=client-nonceS,s=c2FsdA==,i=1",
        b"r=client-nonceS,s=c2FsdA==,i=4095",
        b"r=client-nonceS,s=c2FsdA==,i=1000001",
        b"r=client-nonceS,s=c2FsdA==,i=99999999999999999999",
        b"r=client-nonceS,s=c2FsdA==,i=4096,m=x",
        b"r=client-nonceS,s=" + b"c2Fs" * 600 + b",i=4096",
        b"e=other-error",
    ],
)
def test_a_client_refuses_what_a_server_should_not_say(challenge: bytes) -> None:
    client = scram_client()
    client.start()
    if challenge == b"":
        assert client.step(challenge) == client.start()
        return
    with pytest.raises(SASLError):
        client.step(challenge)


def started() -> ClientMechanism:
    client = scram_client()
    client.start()
    client.step(b"r=client-nonceS,s=c2FsdA==,i=4096")
    return client


@pytest.mark.parametrize("last", [b"", b"v=AAAA", b"v=*", b"e=invalid-proof", b"x=y"])
def test_a_server_that_does_not_know_the_user_is_no_server(last: bytes) -> None:
    with pytest.raises(SASLError):
        started().step(last)
    with pytest.raises(SASLError):
        started().finish(last)
    with pytest.raises(SASLError, match="did not prove"):
        started().finish()


def test_a_server_that_speaks_first_is_refused() -> None:
    with pytest.raises(SASLError):
        scram_client().step(b"r=client-nonceS,s=c2FsdA==,i=4096")


def test_stored_keys_are_text_and_back() -> None:
    keys = sasl.derive_keys("pencil", b"salt" * 4)
    assert StoredKeys.from_text(keys.to_text()) == keys
    assert keys.to_text().startswith("SCRAM-SHA-256$4096:c2Fs")
    assert "stored" not in repr(keys)
    for text in (
        "",
        "SCRAM-SHA-512$1:a$b:c",
        keys.to_text()[:-4],
        keys.to_text() + "=",
        "SCRAM-SHA-256$0:c2Fs$" + keys.to_text().split("$")[2],
    ):
        with pytest.raises(ValueError):
            StoredKeys.from_text(text)


def test_a_password_that_cannot_be_prepared_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        sasl.derive_keys("a\x07", b"salt" * 4)


# Calls out of turn.


def test_nothing_can_be_called_out_of_turn() -> None:
    machine = sasl.server("PLAIN")
    with pytest.raises(SASLUsageError):
        machine.accept()
    machine.step(b"\0alice\0pencil")
    with pytest.raises(SASLUsageError):
        machine.step(b"again")
    machine.reject()
    for call in (machine.accept, machine.reject, lambda: machine.step(b"x")):
        with pytest.raises(SASLUsageError):
            call()
    server = scram()
    with pytest.raises(SASLUsageError):
        server.keys(None)
    server.step(scram_client().start())
    with pytest.raises(ValueError):
        server.keys(sasl.derive_keys("pencil", b"salt" * 4, mechanism="SCRAM-SHA-1"))
    external = sasl.server("EXTERNAL")
    external.step(b"")
    with pytest.raises(SASLUsageError, match="needs an identity"):
        external.accept()
    waiting = sasl.server("PLAIN")
    waiting.step(None)
    with pytest.raises(SASLUsageError):
        waiting.step(None)
    done = sasl.server("PLAIN")
    done.step(b"x" * 20_000)
    with pytest.raises(SASLUsageError):
        done.step(b"")


@pytest.mark.parametrize("name", ["PLAIN", "EXTERNAL", "ANONYMOUS"])
def test_clients_refuse_challenges_that_are_not_there(name: str) -> None:
    client, _ = pair(name)
    with pytest.raises(SASLError):
        client.step(b"boo")
    with pytest.raises(SASLError):
        client.finish(b"data")


def test_login_has_two_challenges() -> None:
    client, _ = pair("LOGIN")
    assert [client.step(b"User Name\0"), client.step(b"")] == [b"alice", b"pencil"]
    with pytest.raises(SASLError):
        client.step(b"")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("NTLM", {}),
        ("SCRAM-SHA-256", {}),
        ("SCRAM-SHA-256", {"nonce": "a"}),
        ("SCRAM-SHA-256", {"nonce": "a,b", "dummy_key": DUMMY}),
        ("SCRAM-SHA-256", {"nonce": "a", "dummy_key": b"short"}),
        ("SCRAM-SHA-256-PLUS", {"nonce": "a", "dummy_key": DUMMY}),
        ("CRAM-MD5", {}),
        ("CRAM-MD5", {"nonce": "a b"}),
        ("CRAM-MD5", {"nonce": "a>\r\n"}),
    ],
)
def test_a_server_machine_gets_what_it_needs_or_is_not_made(name: str, arguments: Any) -> None:
    with pytest.raises(ValueError):
        sasl.server(name, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("NTLM", {}),
        ("SCRAM-SHA-256", {}),
        ("SCRAM-SHA-256", {"nonce": "a b"}),
        ("SCRAM-SHA-256", {"nonce": "a", "username": "a\x07"}),
        ("SCRAM-SHA-256", {"nonce": "a", "username": "\u00ad"}),
        ("SCRAM-SHA-256", {"nonce": "a", "password": "a\x07"}),
        ("SCRAM-SHA-256-PLUS", {"nonce": "a"}),
        ("PLAIN", {"username": "a\0b"}),
        ("PLAIN", {"password": "a\r\nb"}),
    ],
)
def test_a_client_machine_gets_what_it_needs_or_is_not_made(name: str, arguments: Any) -> None:
    with pytest.raises(ValueError):
        sasl.client(name, **{"username": "alice"} | arguments)


def test_names_are_read_in_any_case() -> None:
    assert sasl.server("plain").name == "PLAIN"
    assert sasl.client("login", username="a", password="b").name == "LOGIN"


def test_base_client_has_no_challenge() -> None:
    class Silent(ClientMechanism):
        name = "SILENT"

        def start(self) -> bytes | None:
            return b""

    with pytest.raises(SASLError):
        Silent().step(b"")
    Silent().finish()


# Secrets.


def test_a_secret_is_not_seen() -> None:
    secret = Secret("Corvus2026!")
    assert "Corvus" not in f"{secret!r}{secret}{[secret]}"
    assert secret == Secret("Corvus2026!")
    assert secret != Secret("corvus2026!")
    assert secret != "Corvus2026!"
    with pytest.raises(TypeError):
        hash(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    step = sasl.server("PLAIN").step(b"\0alice\0Corvus2026!")
    assert "Corvus" not in repr(step)


# SASLprep.


@pytest.mark.parametrize(
    "text",
    [
        "a\u200eb",
        "\ue000",
        "\ufdd0",
        "\ufffd",
        "\u2ff0",
        "\u0340\u200e",
        "\U000e0041",
        "\u0627a\u0627",
        "\u06271",
        "\ufffe",
    ],
)
def test_saslprep_prohibits(text: str) -> None:
    with pytest.raises(sasl.PrepError):
        sasl.saslprep(text)


def test_saslprep_maps_and_queries_may_be_unassigned() -> None:
    assert sasl.saslprep("a\u00a0b\u200bc") == "a bc"
    assert sasl.saslprep("\u0627\u0628") == "\u0627\u0628"
    assert sasl.saslprep("\U0001f600") == "\U0001f600"
    with pytest.raises(sasl.PrepError):
        sasl.saslprep("\U0001f600", stored=True)


# Channel binding data.


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    return bytes([tag]) + size + body


def certificate(oid: str, padding: int = 10) -> bytes:
    algorithm = der(0x30, der(0x06, bytes.fromhex(oid)))
    return der(0x30, der(0x30, b"\x00" * padding), algorithm, der(0x03, b"\x00sig"))


@pytest.mark.parametrize(
    ("oid", "size"),
    [
        ("2a864886f70d01010b", 32),
        ("2a864886f70d010105", 32),
        ("2a8648ce3d040303", 48),
        ("2a864886f70d01010d", 64),
        ("2b6570", None),
    ],
)
def test_the_server_end_point_is_a_hash_of_the_certificate(oid: str, size: int | None) -> None:
    for padding in (10, 300):
        found = sasl.tls_server_end_point(certificate(oid, padding))
        assert (None if found is None else len(found)) == size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80",
        b"\x30\x05\x01",
        b"\x30\x85\x00\x00\x00\x00\x01",
        b"\x31" + certificate("2b6570")[1:],
        b"\x30\x82\x01",
    ],
)
def test_what_is_no_certificate_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        sasl.tls_server_end_point(data)


def test_an_empty_identity_is_the_default_and_never_a_user() -> None:
    machine = sasl.server("PLAIN")
    step = machine.step(b"\0alice\0secret")
    assert isinstance(step, sasl.Verify)
    assert machine.accept(step.authzid) == sasl.Success("alice", "alice")


def test_accepting_nobody_is_your_mistake_and_changes_nothing() -> None:
    machine = sasl.server("EXTERNAL")
    machine.step(b"")
    for identity in (None, ""):
        with pytest.raises(sasl.SASLUsageError):
            machine.accept(identity)
    assert machine.accept("bob") == sasl.Success("bob", "bob")


def test_an_empty_identity_with_keys_is_the_default() -> None:
    keys = sasl.derive_keys("pencil", b"s" * 16)
    machine = sasl.server("SCRAM-SHA-256", nonce="server", dummy_key=b"k" * 16)
    assert isinstance(machine, ScramServer)
    client = sasl.client("SCRAM-SHA-256", username="alice", password="pencil", nonce="client")
    step = machine.step(client.start())
    assert isinstance(step, sasl.NeedKeys)
    step = machine.keys(keys, identity=step.authzid)
    assert isinstance(step, sasl.Challenge)
    step = machine.step(client.step(step.data))
    assert isinstance(step, sasl.Challenge)
    assert machine.step(client.step(step.data)) == sasl.Success("alice", "alice")
