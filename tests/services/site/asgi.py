"""For uvicorn."""

import os

from django.core.asgi import get_asgi_application

from . import oddities

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.services.site.settings")
application = get_asgi_application()
oddities.apply()
