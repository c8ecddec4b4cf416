"""A site whose users' primary key is a field of its own, as Wagtail's and Django's tests have it.

AUTH_USER_MODEL cannot change while Django runs: tests run this module's `main` in a process.
"""
