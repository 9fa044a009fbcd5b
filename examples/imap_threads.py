"""Serve a folder of .eml files over IMAP, read-only, with a thread for each connection.

python examples/imap_threads.py FOLDER [PORT]
"""

import socketserver
import sys
from pathlib import Path

from imap_archive import POLICY, Archive

from corvus_imap import ServerConnection


class Session(socketserver.BaseRequestHandler):
    """One connection: octets in, octets out."""

    server: "Server"

    def handle(self) -> None:
        conn = ServerConnection("archive ready", policy=POLICY)
        while True:
            self.request.settimeout(conn.timeout)
            going_on = self.server.archive.talk(conn)
            self.request.sendall(conn.data_to_send())
            if not going_on:
                return
            try:
                data = self.request.recv(65536)
            except TimeoutError:
                conn.close("silent for too long")
                continue
            if data:
                conn.receive_data(data)
            else:
                conn.receive_eof()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, folder: Path, port: int) -> None:
        self.archive = Archive(folder)
        super().__init__(("127.0.0.1", port), Session)


if __name__ == "__main__":
    with Server(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1430) as server:
        print("listening on", server.server_address)
        server.serve_forever()
