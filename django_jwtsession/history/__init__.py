"""What happened to sessions: the history, and the mails about it."""
