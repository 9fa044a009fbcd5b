"""Spam: signals, each explained, summed to a score.  Pure functions all."""
