"""Readers of cookies that Node made, for JWTSESSION["MIGRATE_FROM"]: each is read once.

A reader has `COOKIES` (the names that its cookie has), `USER_ID` (the claim that names the user)
and `read(value, name, secrets)`, which may raise anything for what is no good cookie.
"""
