"""Handlers written for aiosmtpd on this engine: `await serve(MyHandler(), "127.0.0.1", 2525)`."""

import asyncio
from types import SimpleNamespace
from typing import Any

import corvus_smtp
from corvus_smtp import Reply, ServerConnection


async def session(handler: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection.  Streams will do: without STARTTLS there is no second buffer to fear."""
    conn = ServerConnection("mx.example")
    peer = SimpleNamespace(peer=writer.get_extra_info("peername"), host_name=None)
    envelope, content = SimpleNamespace(), bytearray()

    async def call(name: str, *args: Any) -> None:
        """Let the handler decide, if it has the method: its answer is a line such as '250 OK'."""
        method = getattr(handler, name, None)
        try:
            status = await method(None, peer, envelope, *args) if method else None
            reply = Reply.parse([status.encode()]) if status else None
        except Exception:
            conn.reject(451, "4.3.0", "Local error in processing")  # the cause stays here
            return
        conn.reply(reply) if reply else conn.accept()

    try:
        while not isinstance(event := conn.next_event(), corvus_smtp.ConnectionEnded):
            if isinstance(event, corvus_smtp.Wait):
                writer.write(conn.data_to_send())
                await writer.drain()
                data = await asyncio.wait_for(reader.read(65536), conn.timeout)
                conn.receive_data(data) if data else conn.receive_eof()
            elif isinstance(event, corvus_smtp.HelloReceived):
                peer.host_name = event.name
                conn.accept()
            elif isinstance(event, corvus_smtp.MailOffered):
                content = bytearray()
                envelope = SimpleNamespace(rcpt_tos=[], content=b"")
                envelope.mail_from = str(event.reverse_path or "")
                await call("handle_MAIL", envelope.mail_from, [])
            elif isinstance(event, corvus_smtp.RecipientOffered):
                await call("handle_RCPT", str(event.forward_path), [])
            elif isinstance(event, corvus_smtp.MessageChunk):
                content += event.data
            elif isinstance(event, corvus_smtp.MessageReceived):
                envelope.content = bytes(content)
                await call("handle_DATA")
            elif event.owes:
                conn.accept()
    except (corvus_smtp.ProtocolError, TimeoutError, ConnectionError):
        pass
    writer.write(conn.data_to_send())
    writer.close()


async def serve(handler: Any, host: str, port: int) -> asyncio.Server:
    return await asyncio.start_server(lambda r, w: session(handler, r, w), host, port)
