"""The web: webmail, the account page, the administrator's pages, and the page that says why."""
