"""What an IMAP session means on this server: typed commands answered from the store.

- `session`: the connection, sign-in, selecting, and what is told when;
- `mailboxes`: LIST, STATUS, CREATE ... QUOTA;
- `fetch`: FETCH, out of stored columns where it can be;
- `messages`: STORE, COPY, MOVE, EXPUNGE, APPEND;
- `search`: SEARCH, SORT, THREAD.
"""

from corvus_server.sessions.imap.session import ENGINE, IMAPSession, make

__all__ = ["ENGINE", "IMAPSession", "make"]
