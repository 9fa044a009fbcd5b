"""The administrator's pages: health, directory, queue, verdicts, who is here, the live log."""
