"""Mail from outside: receive, authenticate, greylist, score, file; every decision is data."""
