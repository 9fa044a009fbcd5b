"""Sign a message with two keys, as RFC 8463 recommends, and verify it without DNS."""

import corvus_dkim

MESSAGE = (
    b"From: Joe <joe@example.com>\r\n"
    b"To: Suzie <suzie@example.net>\r\n"
    b"Subject: Is dinner ready?\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"\r\n"
    b"We lost the game.  Are you hungry yet?\r\n"
)


def main() -> None:
    keys = {"r2026": corvus_dkim.generate_key("rsa"), "e2026": corvus_dkim.generate_key("ed25519")}
    signers = [corvus_dkim.Signer("example.com", name, key) for name, key in keys.items()]

    # Both signatures come out of one pass over the body and stand in front of the message.
    signed = corvus_dkim.sign_with(signers, MESSAGE) + MESSAGE
    print(signed.decode())

    # What would be published in DNS; a resolver over real DNS is corvus_dkim.dns.DNSResolver().
    zone = {
        corvus_dkim.record_name("example.com", name): {"TXT": [corvus_dkim.key_record(key)]}
        for name, key in keys.items()
    }
    resolver = corvus_dkim.ZoneResolver(zone)
    for text, message in (("as sent", signed), ("changed", signed.replace(b"hungry", b"angry"))):
        for result in corvus_dkim.verify(message, resolver=resolver):
            print(f"{text}: {result.status} {result.algorithm} {result.domain}: {result.reason}")


if __name__ == "__main__":
    main()
