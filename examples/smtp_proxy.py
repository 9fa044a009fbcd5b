"""A transparent SMTP proxy that logs: two engines watch, the octets pass as they are.

python smtp_proxy.py LISTEN_PORT HOST PORT
"""

import socket
import sys
import threading

from corvus_smtp import ConnectionEnded, Policy, ProtocolError, ServerConnection, Wait


def watch(conn: ServerConnection, data: bytes) -> None:
    """Let an engine of our own read along, agreeing to everything; the real server decides."""
    if conn.closing or conn.tls_pending:
        return  # behind STARTTLS there is nothing to read
    conn.receive_data(data)
    try:
        while not isinstance(event := conn.next_event(), Wait | ConnectionEnded):
            print("C", event, flush=True)
            if event.owes:
                conn.accept()
    except ProtocolError as error:
        print("C", error, flush=True)
    conn.data_to_send()


def pass_on(source: socket.socket, sink: socket.socket, conn: ServerConnection | None) -> None:
    while data := source.recv(65536):
        if conn is not None:
            watch(conn, data)
        else:
            print("S", data.decode("utf-8", "backslashreplace").rstrip(), flush=True)
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


def serve(client: socket.socket, address: tuple[str, int]) -> None:
    conn = ServerConnection("proxy.example", policy=Policy().offering("STARTTLS", "EXPN"))
    watch(conn, b"")  # the greeting
    with client, socket.create_connection(address) as server:
        back = threading.Thread(target=pass_on, args=(server, client, None))
        back.start()
        pass_on(client, server, conn)
        back.join()


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
        print(f"listening on {listener.getsockname()[1]}", flush=True)
        while True:
            accepted, _ = listener.accept()
            target = (sys.argv[2], int(sys.argv[3]))
            threading.Thread(target=serve, args=(accepted, target), daemon=True).start()
