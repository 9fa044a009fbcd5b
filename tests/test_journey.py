"""A mail's whole journey through real sockets, with the clients people have."""

from __future__ import annotations

import imaplib
import poplib
import shutil
import smtplib
import socket
import ssl
import subprocess
from typing import Any

import pytest

import corvus_message
from corvus_server.operations import SEED_PASSWORD

ALICE, BOB = "alice@corvus.local", "bob@corvus.local"
CAROL = "carol@crow.example"


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def submit(demo: Any, recipient: str, subject: str, body: str = "It works.") -> None:
    message = f"From: {ALICE}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\n{body}\r\n"
    with smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=20) as client:
        client.starttls(context=trusting())
        client.login(ALICE, SEED_PASSWORD)
        client.sendmail(ALICE, [recipient], message.encode())


def subjects(demo: Any, address: str, mailbox: str = "INBOX", **where: Any) -> list[str]:
    return [corvus_message.parse(raw).subject for raw in demo.mails(address, mailbox, **where)]


def talk(port: int, *lines: bytes) -> list[bytes]:
    """Say *lines* one by one in the clear; the last line of each answer."""
    answers = []
    with socket.create_connection(("127.0.0.1", port), 20) as line, line.makefile("rb") as reader:
        reader.readline()
        for each in lines:
            line.sendall(each + b"\r\n")
            while True:
                answer = reader.readline()
                if answer[3:4] != b"-":
                    break
            answers.append(answer.rstrip(b"\r\n"))
    return answers


def test_the_first_page_will_show_a_delivered_mail_that_was_checked(demo: Any) -> None:
    welcome = demo.mails(ALICE)[0]
    results = corvus_message.parse(welcome).field(b"authentication-results")
    assert results is not None
    for check in (b"spf=pass", b"dkim=pass", b"dmarc=pass"):
        assert check in results


def test_bob_reads_what_alice_sent_byte_for_byte_everywhere(demo: Any) -> None:
    submit(demo, BOB, "Hello over everything", "Umläute, .dots\r\n.at the start\r\n")
    stored = demo.until(
        lambda: next((m for m in demo.mails(BOB) if b"Hello over everything" in m), None)
    )

    with imaplib.IMAP4_SSL("127.0.0.1", demo.port("imap_tls"), ssl_context=trusting()) as client:
        client.login(BOB, SEED_PASSWORD)
        client.select("INBOX")
        _, found = client.search(None, "SUBJECT", '"Hello over everything"')
        number = found[0].split()[-1].decode()
        _, parts = client.fetch(number, "(BODY.PEEK[])")
        assert isinstance(parts[0], tuple)
        assert parts[0][1] == stored

    pop = poplib.POP3_SSL("127.0.0.1", demo.port("pop3_tls"), context=trusting())
    pop.user(BOB)
    pop.pass_(SEED_PASSWORD)
    fetched = [b"\r\n".join(pop.retr(n + 1)[1]) + b"\r\n" for n in range(pop.stat()[0])]
    pop.quit()
    assert stored in fetched


def test_carol_gets_it_over_tls_signed_and_says_so(demo: Any) -> None:
    submit(demo, CAROL, "Out into the world")
    arrived = demo.until(
        lambda: next((m for m in demo.mails(CAROL, crow=True) if b"Out into" in m), None)
    )
    message = corvus_message.parse(arrived)
    results = message.field(b"authentication-results") or b""
    for check in (b"spf=pass", b"dkim=pass", b"dmarc=pass"):
        assert check in results
    assert b"with ESMTPS id" in (message.field(b"received") or b"")
    assert demo.until(lambda: "Re: Out into the world" in subjects(demo, ALICE))


def test_what_cannot_be_delivered_comes_back_readable_at_once(demo: Any) -> None:
    submit(demo, "550@crow.example", "Nobody there")
    raw = demo.until(
        lambda: next(
            (
                m
                for m in demo.mails(ALICE)
                if b"could not be delivered" in m and b"Nobody there" in m
            ),
            None,
        ),
        seconds=5,
    )
    bounce = corvus_message.parse(raw)
    report = corvus_message.read_dsn(bounce)
    assert report is not None
    assert report.recipients[0].status == "5.1.1"
    text = next(p for p in bounce.walk() if p.type == "text").content_text()
    assert "There is no such bird in this tree" in text
    assert demo.mails(ALICE)[0]
    assert raw.startswith(b"Return-Path: <>\r\n")


def test_greylisting_elsewhere_costs_a_moment_and_no_mail(demo: Any) -> None:
    submit(demo, "greylist@crow.example", "Come again")
    assert demo.until(lambda: "Come again" in subjects(demo, CAROL, crow=True), seconds=25)
    queue = demo.demo.ours.store.queue

    def outcomes() -> list[str] | None:
        for entry in (*queue.entries(), *queue.entries(finished=True)):
            if any(r.address == "greylist@crow.example" for r in entry.recipients):
                found = [attempt.outcome for attempt in queue.attempts(entry.id)]
                return found if len(found) == 2 else None
        return None

    assert demo.until(outcomes) == ["deferred", "delivered"]


def test_each_attempt_is_kept_with_its_dialogue(demo: Any) -> None:
    submit(demo, "451@crow.example", "Later, perhaps")
    store = demo.demo.ours.store

    def attempts() -> Any:
        for entry in store.queue.entries():
            if any(r.address == "451@crow.example" for r in entry.recipients):
                return store.queue.attempts(entry.id)
        return None

    attempt = demo.until(attempts)[0]
    assert attempt.outcome == "deferred"
    assert attempt.host == "mx.crow.example"
    assert attempt.tls["version"].startswith("TLSv1.")
    assert "C: RCPT TO:<451@crow.example>" in attempt.dialogue
    assert "S: 451 4.3.0" in attempt.dialogue


def test_a_forged_mail_is_refused_as_its_domain_asks(demo: Any) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("smtp"), timeout=20) as client:
        client.ehlo("evil.example")
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(
                CAROL, [ALICE], f"From: {CAROL}\r\nSubject: Forged\r\n\r\nHi\r\n".encode()
            )
    assert refused.value.smtp_code == 550
    verdict = demo.demo.ours.store.verdicts.recent(1)[0]
    assert (verdict.action, verdict.tree["rule"]) == ("reject", "dmarc-reject")
    assert "crow.example" in verdict.sentence
    assert "Forged" not in subjects(demo, ALICE)


def test_results_that_claim_our_name_are_removed(demo: Any) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("smtp"), timeout=20) as client:
        client.ehlo("somewhere.example")
        client.sendmail(
            "mallory@nowhere.example",
            [BOB],
            b"Authentication-Results: mail.corvus.local; dmarc=pass header.from=bank.example\r\n"
            b"From: mallory@nowhere.example\r\nTo: bob@corvus.local\r\nDate: x\r\n"
            b"Subject: I am your bank\r\nMessage-ID: <1@nowhere.example>\r\n\r\nHi\r\n",
        )
    found = demo.until(
        lambda: next(
            (m for box in ("INBOX", "Junk") for m in demo.mails(BOB, box) if b"your bank" in m),
            None,
        )
    )
    assert b"bank.example;" not in found.replace(b"\r\n", b"")
    assert b"dmarc=pass" not in found


@pytest.mark.parametrize(
    ("port", "lines", "answer"),
    [
        (
            "smtp",
            [b"EHLO x.example", b"MAIL FROM:<a@x.example>", b"RCPT TO:<nobody@corvus.local>"],
            b"550 5.1.1",
        ),
        (
            "smtp",
            [b"EHLO x.example", b"MAIL FROM:<a@x.example>", b"RCPT TO:<a@foreign.example>"],
            b"550 5.7.1",
        ),
        ("submission", [b"EHLO x.example", b"AUTH LOGIN"], b"538 5.7.11"),
        ("submission", [b"EHLO x.example", b"MAIL FROM:<alice@corvus.local>"], b"530 5.7.0"),
    ],
)
def test_what_is_not_allowed_is_refused_in_the_words_of_the_rfc(
    demo: Any, port: str, lines: list[bytes], answer: bytes
) -> None:
    last = talk(demo.port(port), *lines)[-1]
    assert last.startswith(answer)
    if answer.startswith(b"538"):
        assert b"TLS" in last.upper()


def test_nobody_sends_as_somebody_else(demo: Any) -> None:
    with smtplib.SMTP_SSL(
        "127.0.0.1", demo.port("submission_tls"), context=trusting(), timeout=20
    ) as client:
        client.login(ALICE, SEED_PASSWORD)
        assert client.mail(BOB)[0] == 553
        client.rset()
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(ALICE, [BOB], f"From: {BOB}\r\n\r\nHi\r\n".encode())
        assert refused.value.smtp_code == 550


def test_bcc_is_blind(demo: Any) -> None:
    message = f"From: {ALICE}\r\nTo: {CAROL}\r\nBcc: {BOB}\r\nSubject: Blind\r\n\r\nHi\r\n"
    with smtplib.SMTP_SSL(
        "127.0.0.1", demo.port("submission_tls"), context=trusting(), timeout=20
    ) as client:
        client.login(ALICE, SEED_PASSWORD)
        client.sendmail(ALICE, [CAROL, BOB], message.encode())
    found = demo.until(lambda: next((m for m in demo.mails(BOB) if b"Blind" in m), None))
    assert b"Bcc" not in found


# With the programs of Debian, where they are installed.


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed; scripts/install-test-peers installs it")
    return found


def run(*command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)


@pytest.mark.interop
def test_swaks_submits_as_the_readme_says(demo: Any) -> None:
    done = run(
        need("swaks"), "--server", f"localhost:{demo.port('submission')}", "--tls",
        "--auth", "LOGIN", "--auth-user", ALICE, "--auth-password", SEED_PASSWORD,
        "--from", ALICE, "--to", BOB, "--header", "Subject: Hello from swaks",
        "--body", "It works.",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert demo.until(lambda: "Hello from swaks" in subjects(demo, BOB))


@pytest.mark.interop
def test_swaks_without_tls_is_told_what_to_do(demo: Any) -> None:
    answers = talk(demo.port("submission"), b"EHLO x.example", b"AUTH PLAIN AGEAYgBj")
    assert answers[-1].startswith(b"538 5.7.11")


@pytest.mark.interop
@pytest.mark.parametrize("scheme", ["imaps", "pop3s"])
def test_curl_fetches_the_mail(demo: Any, scheme: str) -> None:
    name = "imap_tls" if scheme == "imaps" else "pop3_tls"
    path = "/INBOX;MAILINDEX=1" if scheme == "imaps" else "/1"
    done = run(
        need("curl"), "-sk", "--user", f"{ALICE}:{SEED_PASSWORD}",
        f"{scheme}://127.0.0.1:{demo.port(name)}{path}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.replace(b"\r\n", b"\n") == demo.mails(ALICE)[0].replace(b"\r\n", b"\n")


@pytest.mark.interop
def test_the_dialogue_through_openssl(demo: Any) -> None:
    dialogue = f"USER {ALICE}\r\nPASS {SEED_PASSWORD}\r\nSTAT\r\nRETR 1\r\nQUIT\r\n"
    # s_client hangs up at the end of its input, so the lines go in as the answers come.
    process = subprocess.Popen(
        [need("openssl"), "s_client", "-connect", f"127.0.0.1:{demo.port('pop3_tls')}", "-quiet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    answers = [process.stdout.readline()]
    for line in dialogue.splitlines(keepends=True):
        process.stdin.write(line.encode())
        process.stdin.flush()
        answers.append(process.stdout.readline())
        if line.startswith("RETR"):
            while (answer := process.stdout.readline()) != b".\r\n":
                answers.append(answer)
    process.stdin.close()
    process.wait(20)
    process.stdout.close()
    assert b"Subject: Welcome to Corvus\r\n" in answers
    assert answers[-1].startswith(b"+OK")
