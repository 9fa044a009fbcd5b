"""An SMTP sink under asyncio, or uvloop if it is there: smtp_asyncio_sink.py [port] [--plain]"""

import asyncio
import importlib.util
import socket
import sys
from typing import cast

from corvus_smtp import NEED_DATA, ProtocolError, ServerConnection


class Sink(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self.conn = ServerConnection("sink.example")
        self.pump()

    def data_received(self, data: bytes) -> None:
        self.conn.receive_data(data)
        self.pump()

    def eof_received(self) -> None:
        self.conn.receive_eof()
        self.pump()

    def pause_writing(self) -> None:
        self.transport.pause_reading()  # who reads no replies is not read either

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def pump(self) -> None:
        conn = self.conn
        try:
            while (event := conn.next_event()) is not NEED_DATA and not conn.closing:
                if event.owes:  # type: ignore[union-attr]  # never PAUSED: all is answered here
                    conn.accept()
        except ProtocolError:
            pass  # the reply is queued
        self.transport.write(conn.data_to_send())
        if conn.closing:
            self.transport.close()


async def main(port: int) -> None:
    # IPPROTO_TCP, not 0: else asyncio never sets TCP_NODELAY, and pipelining waits 40 ms a turn.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    server = await asyncio.get_running_loop().create_server(Sink, sock=listener, backlog=1024)
    print(f"listening on {listener.getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if "--plain" not in sys.argv and importlib.util.find_spec("uvloop"):
        asyncio.set_event_loop_policy(importlib.import_module("uvloop").EventLoopPolicy())
    asyncio.run(main(int([*sys.argv, "2525"][1])))
