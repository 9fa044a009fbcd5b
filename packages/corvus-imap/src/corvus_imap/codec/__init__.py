"""Octets to types and back: fragments (lines and literals) first, then the grammar.

Two stages, so that one bad command costs one command: where a command ends is known before
anything in it is understood.
"""
