"""SPF, DMARC, Authentication-Results, SASL and passwords.

Two halves that do not import each other:

- mail authentication: `corvus_auth.spf`, `corvus_auth.dmarc`, `corvus_auth.authres`, and
  `authenticate` over all of them;
- login: `corvus_auth.sasl` and `corvus_auth.passwords`.

Nothing here does I/O.  What needs DNS is a generator of look-ups (`corvus_auth.lookup`).
"""

from corvus_auth import authres, dmarc, lookup, passwords, sasl, spf
from corvus_auth.verdict import Verdict, authenticate

__all__ = [
    "Verdict",
    "authenticate",
    "authres",
    "dmarc",
    "lookup",
    "passwords",
    "sasl",
    "spf",
]
