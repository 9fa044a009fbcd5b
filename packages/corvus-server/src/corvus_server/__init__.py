"""A self-hosted mail server: SMTP, IMAP, POP3, queue, webmail and admin."""

from importlib.metadata import version as _version

__all__ = ["__version__"]

__version__ = _version("corvus-server")
