"""The administrator's pages: health, directory, queue, decisions, who is here, the live log."""
