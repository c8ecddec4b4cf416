"""Ending all sessions that match the list's filters, after an incident: in batches, with a stop.

Each batch is a request of its own, so that no server's timeout cuts the run; what one needs to know
of the run travels in its form, signed. Nothing is running once nobody asks for the next batch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth import logout
from django.core import signing
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext, ngettext

from .dates import chosen_date
from .ending import EndingMixin, end_where_name, own_pk
from .lists import AtLeast

BATCH = 500
# Counting so many takes a moment; who ends more learns that they are at least so many.
MOST_COUNTED = 1_000_000
_SALT = "django_jwtsession.admin.where"
_LONGEST_RUN = 6 * 3600


@dataclass(frozen=True)
class Run:
    """How far the ending has come; `until` is when it was confirmed: later sessions go on."""

    sid: str
    query: str
    until: str
    total: int
    with_own: bool
    done: int = 0
    after: str = ""

    def signed(self) -> str:
        return signing.dumps(asdict(self), salt=_SALT)


def run_of(request: HttpRequest) -> Run | None:
    """Return the run that a form goes on with; None for none, or for one of another session."""
    try:
        values = signing.loads(request.POST.get("run", ""), salt=_SALT, max_age=_LONGEST_RUN)
        run = Run(**values)
    except (signing.BadSignature, TypeError):
        return None
    is_own = run.sid == _sid(request) and run.query == request.GET.urlencode()
    return run if is_own else None


class EndingWhereMixin(EndingMixin):
    """The page of SessionAdmin that ends what its filters find."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.end_where_view)
        return [path("end-where/", view, name=end_where_name(self.opts)), *super().get_urls()]

    def end_where_view(self, request: HttpRequest) -> HttpResponseBase:
        """Show how many match, and end them once their number was typed."""
        if not (self.has_revoke_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied
        run = run_of(request) if request.method == "POST" else None
        if run is None and (asked := self.ask_for_login(request)):
            return asked
        try:
            changes: Any = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(request.path)
        if run is not None and "stop" in request.POST:
            return self._stop(request, run)
        if run is None and request.method == "POST":
            run = self._confirmed(request)
        if run is None:
            return self._ask_where(request, changes)
        return self._go_on(request, changes, run)

    def _ask_where(self, request: HttpRequest, changes: Any) -> TemplateResponse:
        """Return the page with filters, numbers, and the field for the number."""
        own = changes.queryset.filter(user_id=request.user.pk).count()
        others = changes.queryset.exclude(user_id=request.user.pk).order_by()
        count = others[: MOST_COUNTED + 1].count()
        context = {
            "title": gettext("End sessions where \u2026"),
            "cl": changes,
            "count": AtLeast(MOST_COUNTED) if count > MOST_COUNTED else count,
            "to_type": min(count, MOST_COUNTED),
            "own": own,
            "conditions": _conditions(changes),
            "typed_wrong": request.method == "POST",
        }
        return self._page(request, context)

    def _confirmed(self, request: HttpRequest) -> Run | None:
        """Return a new run where the number that was shown has been typed."""
        typed = "".join(filter(str.isdecimal, request.POST.get("typed", "")))
        shown = request.POST.get("count", "")
        if not typed or typed != shown:
            return None
        return Run(
            sid=_sid(request),
            query=request.GET.urlencode(),
            until=timezone.now().isoformat(),
            total=int(typed),
            with_own=bool(request.POST.get("end_own")),
        )

    def _go_on(self, request: HttpRequest, changes: Any, run: Run) -> HttpResponseBase:
        """End one batch; show how far that is, or what was done in all."""
        pks = list(self._rows(request, changes, run).values_list("pk", flat=True)[:BATCH])
        done = run.done + self.end(request, self.model._default_manager.filter(pk__in=pks))
        if len(pks) < BATCH:
            return self._finish(request, changes, replace(run, done=done))
        run = replace(run, done=done, after=str(pks[-1]), total=max(run.total, done))
        title = gettext("%(done)d of %(total)d sessions ended")
        numbers = {"done": run.done, "total": run.total}
        return self._page(request, {"title": title % numbers, "run": run})

    def _rows(self, request: HttpRequest, changes: Any, run: Run) -> Any:
        """Return what is left of a run, by the key; never the session of this request."""
        rows = changes.queryset.filter(created_at__lte=parse_datetime(run.until))
        rows = rows.exclude(pk=own_pk(request))
        if not run.with_own:
            rows = rows.exclude(user_id=request.user.pk)
        if run.after:
            rows = rows.filter(pk__gt=run.after)
        return rows.order_by("pk")

    def _finish(self, request: HttpRequest, changes: Any, run: Run) -> HttpResponseRedirect:
        """End the session of this request last, if it is among them."""
        ends_own = run.with_own and changes.queryset.filter(pk=own_pk(request)).exists()
        run = replace(run, done=run.done + ends_own)
        text = ngettext("%(count)d session was ended.", "%(count)d sessions were ended.", run.done)
        self.message_user(request, text % {"count": run.done}, messages.SUCCESS)
        back = self._where(request)
        if ends_own:
            own = self.model._default_manager.filter(pk=own_pk(request))
            self.end(request, own)
            logout(request)  # or this very request would go on with a session that is gone
        return HttpResponseRedirect(back)

    def _stop(self, request: HttpRequest, run: Run) -> HttpResponseRedirect:
        text = ngettext(
            "Stopped: %(count)d session was ended.",
            "Stopped: %(count)d sessions were ended.",
            run.done,
        )
        self.message_user(request, text % {"count": run.done}, messages.WARNING)
        return HttpResponseRedirect(self._where(request))

    def _where(self, request: HttpRequest) -> str:
        """Return the list, as it was filtered."""
        query = request.GET.urlencode()
        url = reverse(self._url_name("changelist"))
        return f"{url}?{query}" if query else url

    def _page(self, request: HttpRequest, context: dict[str, Any]) -> TemplateResponse:
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "list_url": self._where(request),
            **context,
        }
        return TemplateResponse(request, "jwtsession/admin/end_where.html", context)


def _sid(request: HttpRequest) -> str:
    return getattr(request.session, "sid", None) or ""


def _conditions(changes: Any) -> list[tuple[str, str]]:
    """Return what is filtered by, in words: ("browser", "Firefox")."""
    found = [
        (str(spec.title), str(choice["display"]))
        for spec in changes.filter_specs
        for choice in list(spec.choices(changes))[1:]  # the first is all
        if choice["selected"]
    ]
    if changes.query:
        found.append((gettext("search"), changes.query))
    fields, (of_date, day) = changes.lookup_opts, chosen_date(changes)
    if of_date:
        found.append((str(fields.get_field(changes.date_hierarchy).verbose_name), day))
    known = {name for spec in changes.filter_specs for name in spec.expected_parameters()}
    for name, values in changes.get_filters_params().items():
        if name not in known | of_date:
            value = values[-1] if isinstance(values, list) else values
            found.append((_label(fields, name), str(value)))
    return found


def _label(fields: Any, lookup: str) -> str:
    """Return a filter of the address as people call its field: "user" for "user__exact"."""
    name, *parts = lookup.split("__")
    try:
        label = str(fields.get_field(name).verbose_name)
    except FieldDoesNotExist:
        label = name
    return " ".join([label, *(part for part in parts if part != "exact")])
