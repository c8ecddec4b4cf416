"""What users see: login, their sessions, the question for the password."""
