"""An SMTP sink with threads and STARTTLS: smtp_threading_sink.py [port [cert.pem key.pem]]"""

import contextlib
import socket
import ssl
import sys
import threading

from corvus_smtp import (
    PAUSED,
    ConnectionEnded,
    MessageReceived,
    Policy,
    RemoteProtocolError,
    ServerConnection,
    TLSInfo,
    Wait,
)


def serve(sock: socket.socket, context: ssl.SSLContext | None) -> None:
    policy = Policy().offering("STARTTLS") if context else Policy()
    conn = ServerConnection("sink.example", policy=policy)
    with sock, contextlib.suppress(OSError):  # the client is gone, or was silent for too long
        while True:
            try:
                event = conn.next_event()
            except RemoteProtocolError:
                continue  # its reply is queued; ConnectionEnded comes next
            if isinstance(event, Wait):
                sock.settimeout(conn.timeout)
                sock.sendall(conn.data_to_send())
                if event is PAUSED and context:  # all is answered: it is the handshake
                    sock = context.wrap_socket(sock, server_side=True)
                    conn.start_tls(TLSInfo(version=sock.version()))
                elif data := sock.recv(65536):
                    conn.receive_data(data)
                else:
                    conn.receive_eof()
            elif isinstance(event, ConnectionEnded):
                sock.sendall(conn.data_to_send())
                return
            elif isinstance(event, MessageReceived):
                conn.reply(250, "2.0.0", f"Threw {event.size} octets away")
            elif event.owes:
                conn.accept()


if __name__ == "__main__":
    tls = None
    if len(sys.argv) > 3:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(sys.argv[2], sys.argv[3])
    with socket.create_server(("127.0.0.1", int([*sys.argv, "2525"][1]))) as listener:
        print(f"listening on {listener.getsockname()[1]}", flush=True)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, tls), daemon=True).start()
