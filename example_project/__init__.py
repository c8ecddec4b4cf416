"""A small site on django_jwtsession: sign-up, login, a closed page, logout, the admin."""
