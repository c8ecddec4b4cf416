"""A stand-in for django-user-sessions 2.0, which needs pkg_resources: its table and its habits."""
