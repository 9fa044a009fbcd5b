"""Values that cannot be wrong: what stands in commands and responses, checked where it is made.

One noun of the RFC a module; import from here or from `corvus_imap`.
"""
