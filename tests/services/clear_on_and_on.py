"""`python -m tests.services.clear_on_and_on`: clear what has expired, until it is killed."""

from __future__ import annotations

import django


def main() -> None:
    """Clear."""
    django.setup()
    from django_jwtsession.models.clearing import clear_expired

    while True:
        clear_expired()


if __name__ == "__main__":
    main()
