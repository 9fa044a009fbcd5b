"""A pytest fixture that catches mail, for your conftest.py: `mailbox.port`, `mailbox.messages`."""

import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

import corvus_smtp


@dataclass
class Message:
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    content: bytes = b""


class Mailbox(socketserver.TCPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.port = self.server_address[1]
        self.messages: list[Message] = []


class Session(socketserver.BaseRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        conn = corvus_smtp.ServerConnection("fixture.example")
        message = Message()
        while not isinstance(event := conn.next_event(), corvus_smtp.ConnectionEnded):
            if isinstance(event, corvus_smtp.Wait):
                self.request.sendall(conn.data_to_send())
                data = self.request.recv(65536)
                conn.receive_data(data) if data else conn.receive_eof()
                continue
            if isinstance(event, corvus_smtp.MailOffered):
                message = Message(str(event.reverse_path or ""))
            elif isinstance(event, corvus_smtp.RecipientOffered):
                message.recipients.append(str(event.forward_path))
            elif isinstance(event, corvus_smtp.MessageChunk):
                message.content += event.data
            elif isinstance(event, corvus_smtp.MessageReceived):
                self.server.messages.append(message)
            if event.owes:
                conn.accept()
        self.request.sendall(conn.data_to_send())


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
