"""What others need to test what they build on the server; it needs pytest."""
