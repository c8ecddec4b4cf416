"""For uvicorn."""

import os

from django.core.asgi import get_asgi_application

from . import oddities

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.services.site.settings")
_pages = get_asgi_application()

from .sockets import with_sockets  # noqa: E402  (the settings have to be read)

application = with_sockets(_pages)
oddities.apply()
