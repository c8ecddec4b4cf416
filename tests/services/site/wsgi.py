"""For gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from . import oddities

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.services.site.settings")
application = get_wsgi_application()
oddities.apply()
if os.environ.get("SITE_LOAD") == "1":
    from django_jwtsession.revocation import feed

    feed.load()
