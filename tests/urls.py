from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def home(request: HttpRequest) -> HttpResponse:
    """A page for everyone that says who is there."""
    return HttpResponse(request.user.get_username() or "anonymous")


@login_required
def closed(request: HttpRequest) -> HttpResponse:
    """A page for those who are logged in."""
    return HttpResponse("closed")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("", home, name="home"),
    path("closed/", closed, name="closed"),
    path("", include("django_jwtsession.urls")),
    path("", include("django_jwtsession.urls.login")),
    path("", include("django_jwtsession.well_known")),
]
