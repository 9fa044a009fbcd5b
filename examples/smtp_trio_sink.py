"""An SMTP sink under trio: the same engine, another loop.

python smtp_trio_sink.py [port]
"""

import sys

import trio

from corvus_smtp import NEED_DATA, ConnectionEnded, ProtocolError, ServerConnection


async def serve(stream: trio.SocketStream) -> None:
    conn = ServerConnection("sink.example")
    while True:
        try:
            event = conn.next_event()
        except ProtocolError:
            continue  # the reply is queued, and ConnectionEnded comes next
        if event is NEED_DATA:
            try:
                await stream.send_all(conn.data_to_send())
                with trio.fail_after(conn.timeout or 300):
                    data = await stream.receive_some(65536)
            except (trio.BrokenResourceError, trio.TooSlowError):
                return
            if data:
                conn.receive_data(data)
            else:
                conn.receive_eof()
        elif isinstance(event, ConnectionEnded):
            await stream.send_all(conn.data_to_send())
            return
        elif event.owes:  # type: ignore[union-attr]  # never PAUSED: all is answered here
            conn.accept()


async def main(port: int, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    task_status.started(listeners[0].socket.getsockname()[1])
    print(f"listening on {listeners[0].socket.getsockname()[1]}", flush=True)
    await trio.serve_listeners(serve, listeners)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 2525)
