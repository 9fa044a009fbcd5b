"""``corvus demo``: a server with sample accounts, and a second mail domain to write to.

Everything is real but the Internet: two whole servers on loopback, each with an address of its own
under a simulated DNS, so that mail goes out by MX over STARTTLS, signed, and is checked on arrival.
"""

from corvus_server.demo.run import run

__all__ = ["run"]
