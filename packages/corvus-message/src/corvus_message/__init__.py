"""RFC 5322 and MIME messages over immutable bytes: parse, read, build."""
