"""One page for each view."""

from django.urls import include, path

from . import sockets, undelivered, views

urlpatterns = [
    path(f"{view.__name__}/", view)
    for view in (
        views.ping,
        views.shift,
        views.learn,
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
        views.write_around,
        views.end_all,
        views.end_rows,
        views.is_ended,
        views.prove,
        views.end_others,
        views.fresh,
        views.try_code,
        views.redeem,
        views.stream,
        views.key,
        views.open_key,
        views.expire_in,
        views.set_password,
        views.deactivate,
        views.end_all_and_fail,
        views.feed,
        views.mail,
        undelivered.prove_and_fail,
        undelivered.prove_in_vain,
        undelivered.renew,
        sockets.statements,
    )
] + [
    path("pages/", include("django_jwtsession.urls")),
    path("", include("django_jwtsession.urls.login")),
]
