"""Where an address is, in words: asked of the site's own function, JWTSESSION["LOCATION"]."""

from __future__ import annotations

import logging

from django.utils.module_loading import import_string

from ..conf import get_config

logger = logging.getLogger("django_jwtsession")


def location(ip_address: str | None) -> str:
    """Return the words for where an address is, such as "Berlin, Germany"; "" if nobody knows.

    Asked each time, in the language that is active. What the site's function raises is logged: no
    page and no mail fails for it.
    """
    path = get_config().location
    if path is None or not ip_address:
        return ""
    try:
        words = import_string(path)(ip_address)
    except Exception as error:  # a file that is missing, an address that no database has
        logger.warning('JWTSESSION["LOCATION"] failed: %s.', type(error).__name__)
        return ""
    return str(words or "")
