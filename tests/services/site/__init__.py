"""The site that the server processes serve; SITE_* variables in the environment configure it."""
