"""Serve a folder of .eml files over IMAP, read-only, under asyncio.

python examples/imap_asyncio.py FOLDER [PORT]
"""

import asyncio
import sys
from pathlib import Path

from imap_archive import POLICY, Archive

from corvus_imap import ServerConnection


class Session(asyncio.Protocol):
    """One connection: octets in, octets out."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.conn = ServerConnection("archive ready", policy=POLICY)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.pump()

    def data_received(self, data: bytes) -> None:
        self.conn.receive_data(data)
        self.pump()

    def eof_received(self) -> bool:
        self.conn.receive_eof()
        self.pump()
        return False

    def pump(self) -> None:
        going_on = self.archive.talk(self.conn)
        self.transport.write(self.conn.data_to_send())
        if not going_on:
            self.transport.close()


async def serve(folder: Path, port: int) -> asyncio.Server:
    archive = Archive(folder)
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Session(archive), "127.0.0.1", port)


async def main() -> None:
    server = await serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1430)
    print("listening on", server.sockets[0].getsockname())
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
