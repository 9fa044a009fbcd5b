"""The reports printed in RFC 3464 appendix E."""

from __future__ import annotations

from corvus_message import Action, DeliveryReport, parse, read_dsn


def report(groups: str, returned: str = "") -> DeliveryReport:
    raw = (
        "From: Mail Delivery Subsystem <MAILER-DAEMON@CS.UTK.EDU>\n"
        "MIME-Version: 1.0\n"
        "Content-Type: multipart/report; report-type=delivery-status;\n"
        '       boundary="RAA14128.773615765/CS.UTK.EDU"\n'
        "\n"
        "--RAA14128.773615765/CS.UTK.EDU\n"
        "\n"
        "The original message was received at Sat, 2 Jul 1994 17:10:28 -0400\n"
        "\n"
        "--RAA14128.773615765/CS.UTK.EDU\n"
        "content-type: message/delivery-status\n"
        "\n"
        f"{groups}\n"
        f"{returned}"
        "--RAA14128.773615765/CS.UTK.EDU--\n"
    )
    found = read_dsn(parse(raw.replace("\n", "\r\n").encode()))
    assert found is not None
    return found


def test_a_simple_dsn() -> None:
    found = report(
        "Reporting-MTA: dns; cs.utk.edu\n"
        "\n"
        "Original-Recipient: rfc822;louisl@larry.slip.umd.edu\n"
        "Final-Recipient: rfc822;louisl@larry.slip.umd.edu\n"
        "Action: failed\n"
        "Status: 4.0.0\n"
        "Diagnostic-Code: smtp; 426 connection timed out\n"
        "Last-Attempt-Date: Thu, 7 Jul 1994 17:15:49 -0400\n",
        "--RAA14128.773615765/CS.UTK.EDU\n"
        "content-type: message/rfc822\n"
        "\n"
        "Subject: the original\n"
        "\n"
        "[original message goes here]\n"
        "\n",
    )
    assert found.headers["reporting-mta"] == "dns; cs.utk.edu"
    (recipient,) = found.recipients
    assert recipient.original_recipient == recipient.final_recipient == "louisl@larry.slip.umd.edu"
    assert (recipient.action, recipient.status) == (Action.FAILED, "4.0.0")
    assert recipient.headers["diagnostic-code"] == "smtp; 426 connection timed out"
    assert found.returned is not None
    assert found.returned.subject == "the original"


def test_a_multi_recipient_dsn() -> None:
    found = report(
        "Reporting-MTA: dns; cs.utk.edu\n"
        "\n"
        "Original-Recipient: rfc822;arathib@vnet.ibm.com\n"
        "Final-Recipient: rfc822;arathib@vnet.ibm.com\n"
        "Action: failed\n"
        "Status: 5.0.0 (permanent failure)\n"
        "Diagnostic-Code: smtp;  550 'arathib@vnet.IBM.COM' is not a\n"
        " registered gateway user\n"
        "Remote-MTA: dns; vnet.ibm.com\n"
        "\n"
        "Original-Recipient: rfc822;johnh@hpnjld.njd.hp.com\n"
        "Final-Recipient: rfc822;johnh@hpnjld.njd.hp.com\n"
        "Action: delayed\n"
        "Status: 4.0.0 (hpnjld.njd.jp.com: host name lookup failure)\n"
        "\n"
        "Original-Recipient: rfc822;wsnell@sdcc13.ucsd.edu\n"
        "Final-Recipient: rfc822;wsnell@sdcc13.ucsd.edu\n"
        "Action: failed\n"
        "Status: 5.0.0\n"
        "Diagnostic-Code: smtp; 550 user unknown\n"
        "Remote-MTA: dns; sdcc13.ucsd.edu\n"
    )
    assert [(r.final_recipient, r.action, r.status) for r in found.recipients] == [
        ("arathib@vnet.ibm.com", Action.FAILED, "5.0.0"),
        ("johnh@hpnjld.njd.hp.com", Action.DELAYED, "4.0.0"),
        ("wsnell@sdcc13.ucsd.edu", Action.FAILED, "5.0.0"),
    ]
    assert found.recipients[0].headers["diagnostic-code"].endswith("not a registered gateway user")
    assert found.returned is None


def test_a_dsn_from_a_gateway() -> None:
    found = report(
        "Reporting-MTA: mailbus; SYS30\n"
        "\n"
        "Final-Recipient: unknown; nair_s\n"
        "Status: 5.0.0 (unknown permanent failure)\n"
        "Action: failed\n"
    )
    (recipient,) = found.recipients
    assert (recipient.final_recipient, recipient.original_recipient) == ("nair_s", None)


def test_a_delayed_dsn() -> None:
    found = report(
        "Reporting-MTA: dns; sun2.nsfnet-relay.ac.uk\n"
        "\n"
        "Final-Recipient: rfc822;thomas@de-montfort.ac.uk\n"
        "Status: 4.0.0 (unknown temporary failure)\n"
        "Action: delayed\n"
    )
    assert found.recipients[0].action is Action.DELAYED
