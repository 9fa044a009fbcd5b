"""What LMTP does otherwise than SMTP (RFC 2033), for both engines.

* "The HELO and EHLO commands of ESMTP are replaced by the LHLO command" (§4.1), and the two are
  not understood, so that no SMTP client talks to it by mistake.
* After the final dot (or BDAT LAST) the server says one reply for each accepted recipient, in the
  order of their RCPTs (§4.2, §4.3): a message may be delivered to one and refused for another.

Give ``protocol=Protocol.LMTP`` to either connection; everything else is the same machine.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from corvus_smtp._state import Verb

__all__ = ["HELLO", "Protocol"]


class Protocol(enum.Enum):
    """Which of the two is spoken."""

    SMTP = "SMTP"
    LMTP = "LMTP"


#: The verbs that open a session, best first.
HELLO: Final[Mapping[Protocol, tuple[Verb, ...]]] = {
    Protocol.SMTP: (Verb.EHLO, Verb.HELO),
    Protocol.LMTP: (Verb.LHLO,),
}
