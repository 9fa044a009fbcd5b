"""A pipelined relay client: one message, many recipients, one round trip each for both halves.

python smtp_relay.py HOST PORT SENDER RECIPIENT... < message
"""

import socket
import sys
from collections.abc import Iterable

from corvus_smtp import (
    BareNewlines,
    ClientConnection,
    CommandSkipped,
    ConnectionEnded,
    DataReady,
    Reply,
    ReplyReceived,
    Wait,
)


def relay(
    address: tuple[str, int], sender: str, recipients: list[str], message: Iterable[bytes]
) -> dict[str, Reply]:
    """Give each recipient's fate: its own refusal, or what was said to the message."""
    conn = ClientConnection("relay.example", bare_newlines=BareNewlines.NORMALISE)
    hello, outcome, data, rcpts = conn.ehlo(), dict[str, Reply](), None, {}
    with socket.create_connection(address) as sock:
        while not isinstance(event := conn.next_event(), ConnectionEnded):
            if isinstance(event, Wait):
                sock.settimeout(conn.timeout)
                sock.sendall(conn.data_to_send())
                received = sock.recv(65536)
                conn.receive_data(received) if received else conn.receive_eof()
            elif isinstance(event, DataReady):
                for chunk in message:
                    conn.chunk(chunk)
                    sock.sendall(conn.data_to_send())
                conn.end()
            elif isinstance(event, CommandSkipped) and event.command is data:
                conn.quit()  # nobody was accepted
            elif isinstance(event, ReplyReceived) and event.command is hello:
                conn.mail(sender)
                rcpts = {conn.rcpt(recipient): recipient for recipient in recipients}
                data = conn.data()
            elif isinstance(event, ReplyReceived) and event.command in rcpts:
                outcome[rcpts[event.command]] = event.reply
            elif isinstance(event, ReplyReceived) and event.command is data:
                outcome |= {r: event.reply for r, reply in outcome.items() if reply.positive}
                conn.quit()
        sock.sendall(conn.data_to_send())
    return outcome


if __name__ == "__main__":
    blocks = iter(lambda: sys.stdin.buffer.read(1 << 16), b"")
    target = (sys.argv[1], int(sys.argv[2]))
    for who, reply in relay(target, sys.argv[3], sys.argv[4:], blocks).items():
        print(who, reply)
