"""DKIM and ARC: sign and verify, every signature, every reason."""
