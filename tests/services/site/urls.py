"""One page for each view."""

from django.urls import path

from . import views

urlpatterns = [
    path(f"{view.__name__}/", view)
    for view in (
        views.ping,
        views.new_user,
        views.log_in,
        views.log_out,
        views.whoami,
        views.session,
        views.asession,
        views.put,
        views.remove,
        views.append,
        views.change_password,
        views.end_session,
        views.end_in_vain,
        views.end_slowly,
        views.end_all,
        views.end_rows,
        views.is_ended,
    )
]
