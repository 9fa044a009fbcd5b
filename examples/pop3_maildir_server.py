"""Serve a Maildir by POP3.  Arguments: MAILDIR USER PASSWORD CERTIFICATE.pem PORT TLS_PORT"""

import ssl
import sys
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Lock, Thread

import corvus_pop3 as pop

MAILDIR, USER, PASSWORD, CERTIFICATE, PORT, TLS_PORT = sys.argv[1:]
TLS = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
TLS.load_cert_chain(CERTIFICATE)
LOCK = Lock()  # "an exclusive-access lock on the maildrop" (RFC 1939 §4)


class Session(BaseRequestHandler):
    def handle(self) -> None:
        self.request.settimeout(30)  # for the handshake; later as the engine says
        info = pop.TLSInfo() if self.request.getsockname()[1] == int(TLS_PORT) else None
        with suppress(OSError, pop.RemoteProtocolError), ExitStack() as at_end:
            sock = TLS.wrap_socket(self.request, server_side=True) if info else self.request
            conn = pop.ServerConnection(pop.Policy(stls=True), tls=info)
            at_end.callback(lambda: sock.sendall(conn.data_to_send()))
            while not isinstance(event := conn.next_event(), pop.ConnectionEnded):
                match event:
                    case pop.NEED_DATA:
                        sock.sendall(conn.data_to_send())
                        sock.settimeout(conn.timeout)
                        conn.receive_data(d) if (d := sock.recv(65536)) else conn.receive_eof()
                    case pop.StlsRequested():
                        conn.accept()
                        sock.sendall(conn.data_to_send())
                        if conn.tls_pending:  # not if octets stood behind STLS
                            sock = TLS.wrap_socket(sock, server_side=True)
                            conn.start_tls(pop.TLSInfo(version=sock.version()))
                    case pop.LoginOffered() if (event.user, event.password) != (USER, PASSWORD):
                        conn.reject()
                    case pop.LoginOffered() if not LOCK.acquire(timeout=5):
                        conn.reject(code=pop.ResponseCode.IN_USE)
                    case pop.LoginOffered():
                        at_end.callback(LOCK.release)
                        files = sorted(Path(MAILDIR).glob("[cn]??/*"))
                        uids = [sha256(f.name.split(":")[0].encode()).hexdigest() for f in files]
                        conn.open(sizes=[pop.wire_size([f.read_bytes()]) for f in files], uids=uids)
                    case pop.RetrieveRequested() | pop.TopRequested():
                        with files[event.number - 1].open("rb") as file:
                            while (octets := file.read(65536)) and conn.chunk(octets):
                                sock.sendall(conn.data_to_send())
                        conn.end()
                    case pop.QuitRequested():  # nowhere else, so a broken session deletes nothing
                        list(map(Path.unlink, [files[number - 1] for number in event.delete]))
                        conn.accept()


for port in map(int, (PORT, TLS_PORT)):
    Thread(target=ThreadingTCPServer(("127.0.0.1", port), Session).serve_forever).start()
