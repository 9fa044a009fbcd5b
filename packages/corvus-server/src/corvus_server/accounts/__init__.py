"""Who may do what: passwords, lockout, sign-in, limits."""
