"""One language a page: where the package has no catalogue for the visitor's, all is English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.template.response import SimpleTemplateResponse
from django.utils.translation import get_language, override, pgettext
from django.views.generic import View

if TYPE_CHECKING:
    _View = View
else:
    _View = object

_ENGLISH = "en"


class InOneLanguage(_View):
    """Renders a page in English where nobody has translated it, the words of Django included.

    Else `<html lang>`, dates, labels and errors were those of one language around the text of
    another. A site that translates the package's texts itself is left alone.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if is_translated():
            return super().dispatch(request, *args, **kwargs)
        with override(_ENGLISH):
            response = super().dispatch(request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse):
                response.render()
                response.headers.setdefault("Content-Language", _ENGLISH)
            return response


def is_translated() -> bool:
    """Tell whether the pages have the language that is active, or English is."""
    language = get_language() or _ENGLISH
    if language.partition("-")[0] == _ENGLISH:
        return True
    return pgettext("sessions", "Your sessions") != "Your sessions"
