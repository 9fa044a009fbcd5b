"""The account page: passwords, sessions, how mail programs get in."""
