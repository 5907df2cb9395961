"""
The admin: it shows everything and edits nothing. Two actions exist for what a person may decide.

Read-only by construction: no user may add, change or delete, whatever their permissions. A user who has Django's change
permission for a model may requeue its dead records, or resume its endpoints.
"""

# Django's classes take no type arguments at run time.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, ClassVar, Final, cast

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.core.paginator import Paginator
from django.db import router
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from track360_django import activities, conf
from track360_django.delivery import breaker
from track360_django.models import Activity, Customer, Endpoint, Lane, Status
from track360_django.operations import explanation, reasons
from track360_django.outbox import dead_letters, wakeup

logger = logging.getLogger(__name__)

# To count millions of rows takes seconds, only to number pages that no one opens. The list ends here; filters reach the rest.
MAX_LISTED: Final = 10_000
MAX_OPTIONS: Final = 50


class BoundedPaginator(Paginator):
    """Counts rows up to `MAX_LISTED`."""

    @cached_property
    def count(self) -> int:
        """How many rows are listed."""
        rows = cast("QuerySet[Model]", self.object_list)
        return rows.order_by().values("pk")[:MAX_LISTED].count()


class BrandFilter(admin.SimpleListFilter):
    """Filters by brand. The brands come from the settings and the lanes, which are few."""

    title = _("brand")
    parameter_name = "brand"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Iterable[tuple[str, str]]:
        """Return the brands."""
        return [(brand, brand) for brand in _brands()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Return the records of the chosen brand."""
        return queryset.filter(brand=self.value()) if self.value() else queryset


class EventnameFilter(admin.SimpleListFilter):
    """Filters by event name. The names are found by jumps over the unique index, without reading the whole table."""

    title = _("event name")
    parameter_name = "eventname"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Iterable[tuple[str, str]]:
        """Return the event names that exist in the table."""
        names = sorted({name for brand in _brands() for name in _eventnames(brand)})
        return [(name, name) for name in names[:MAX_OPTIONS]]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Return the activities of the chosen name."""
        return queryset.filter(eventname=self.value()) if self.value() else queryset


class ReasonFilter(admin.SimpleListFilter):
    """Filters by reason. Only records that are held, dead or between attempts have a reason."""

    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Iterable[tuple[str, str]]:
        """Return the reasons that exist in the table."""
        waiting = model_admin.model._default_manager.exclude(status=Status.DELIVERED).exclude(reason="")
        found = waiting.order_by("reason").values_list("reason", flat=True).distinct()[:MAX_OPTIONS]
        return [(reason, reason) for reason in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Return the records with the chosen reason."""
        return queryset.filter(reason=self.value()) if self.value() else queryset


def _brands() -> list[str]:
    return sorted({*conf.brands(), *Lane.objects.order_by().values_list("brand", flat=True).distinct()})


def _eventnames(brand: str) -> Iterator[str]:
    names = Activity.objects.filter(brand=brand).order_by("eventname").values_list("eventname", flat=True)
    name: str | None = ""
    for _jump in range(MAX_OPTIONS):
        name = names.filter(eventname__gt=name).first()
        if name is None:
            return
        yield name


class ReadOnlyAdmin(admin.ModelAdmin):
    """Shows rows and accepts no change. Viewing needs Django's view or change permission."""

    show_full_result_count = False
    paginator = BoundedPaginator
    sortable_by: ClassVar[tuple[str, ...]] = ()
    list_per_page = 50
    ordering: ClassVar[tuple[str, ...]] = ("-pk",)

    def has_add_permission(self, request: HttpRequest, *_args: Any) -> bool:
        """Refuse: rows are written by the code that reports, not by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: what was reported is a fact, and only `outbox` writes the state of delivery."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: the rows are the memory that prevents sending a record twice."""
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may use the actions: Django's change permission is needed."""
        opts = self.model._meta
        return bool(request.user.has_perm(f"{opts.app_label}.{get_permission_codename('change', opts)}"))

    def _acted(self, request: HttpRequest, action: str, count: int) -> None:
        logger.info(
            "track360: %s %s: %d, by user %s.", action, self.model._meta.model_name, count, request.user.pk
        )


class RecordAdmin(ReadOnlyAdmin):
    """The common part of the pages for customers and activities."""

    actions = ("requeue",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Return the records with the data that their explanations need."""
        return explanation.with_pauses(super().get_queryset(request))

    @admin.display(description=_("what comes next"))
    def what_next(self, record: Customer | Activity) -> str:
        """Return the state of the record and what to do, in a sentence."""
        return explanation.state_of(record, timezone.now())

    @admin.display(description=_("last error"))
    def last_error(self, record: Customer | Activity) -> str:
        """Return the redacted error, "-" if there is none."""
        return record.error or "-"


@admin.register(Customer)
class CustomerAdmin(RecordAdmin):
    """The customers: who was reported, and the attribution of each."""

    list_display = ("customer_id", "brand", "status", "what_next", "attribution", "source", "created_at")
    list_filter = ("status", BrandFilter, ReasonFilter)
    search_fields = ("customer_id__exact",)
    search_help_text = _("Enter the complete customer id.")
    fieldsets = (
        (None, {"fields": ("customer_id", "brand", "status", "what_next", "last_error")}),
        (
            _("Signup"),
            {
                "fields": (
                    "user_pk",
                    "source",
                    "regtime",
                    "attribution",
                    "touches",
                    "field_names",
                    "activity_list",
                )
            },
        ),
        (
            _("Delivery"),
            {
                "fields": (
                    *("reason", "attempts", "due_at", "queued_at", "created_at", "delivered_at"),
                    *("version", "accepted_version", "lane"),
                )
            },
        ),
    )

    @admin.display(description=_("attribution"))
    def attribution(self, customer: Customer) -> str:
        """Return the tracking data that was frozen with the signup, or why there is none."""
        if customer.tracking:
            return ", ".join(f"{name}={value}" for name, value in customer.tracking.items())
        return f"unattributed: {reasons.why_unattributed(customer.unattributed_reason)}"

    @admin.display(description=_("touches"))
    def touches(self, customer: Customer) -> str:
        """Return the first and the last touch, one a line."""
        return _lines(list(explanation.attribution_of(customer))[1:])

    @admin.display(description=_("additional fields"))
    def field_names(self, customer: Customer) -> str:
        """Return the names of the additional fields. Their values may be personal data and are not needed here."""
        return ", ".join(sorted(customer.fields)) or "-"

    @admin.display(description=_("activities"))
    def activity_list(self, customer: Customer) -> str:
        """Return a link to the customer's activities."""
        url = reverse(f"{self.admin_site.name}:track360_django_activity_changelist")
        return format_html(
            '<a href="{}?customer__id__exact={}">{}</a>', url, customer.pk, _("Show activities")
        )

    @admin.action(description=_("Requeue dead customers"), permissions=["act"])
    def requeue(self, request: HttpRequest, queryset: QuerySet[Customer]) -> None:
        """Give the chosen dead customers another try."""
        count = dead_letters.requeue(_plain(queryset))
        wakeup.after_commit(using=router.db_for_write(Customer))
        self._acted(request, "requeued", count)
        self.message_user(request, _result_of(count), messages.SUCCESS if count else messages.WARNING)


@admin.register(Activity)
class ActivityAdmin(RecordAdmin):
    """The activities: what customers did, and the state of each record."""

    list_display = ("eventname", "eventid", "owner", "brand", "status", "what_next", "created_at")
    list_filter = (
        "status",
        BrandFilter,
        EventnameFilter,
        ReasonFilter,
        ("changed_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("customer",)
    search_fields = ("eventid__exact",)
    search_help_text = _("Enter a complete event id or customer id.")
    fieldsets = (
        (None, {"fields": ("eventname", "eventid", "owner", "brand", "status", "what_next", "last_error")}),
        (_("Content"), {"fields": ("content", "source", "source_pk", "changed_at")}),
        (
            _("Delivery"),
            {
                "fields": (
                    *("reason", "attempts", "due_at", "queued_at", "created_at", "delivered_at"),
                    *("version", "accepted_version", "lane"),
                )
            },
        ),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Search by event id or customer id. The customer is looked up first, so that no join is searched."""
        term = search_term.strip()
        if not term:
            return queryset, False
        owners = list(Customer.objects.filter(customer_id=term).values_list("pk", flat=True))
        found = queryset.filter(eventid=term)
        return (queryset.filter(customer__in=owners) | found if owners else found), False

    @admin.display(description=_("customer"))
    def owner(self, activity: Activity) -> str:
        """Return a link to the customer."""
        if activity.customer is None:
            return "-"
        url = reverse(f"{self.admin_site.name}:track360_django_customer_change", args=[activity.customer.pk])
        return format_html('<a href="{}">{}</a>', url, activity.customer.customer_id)

    @admin.display(description=_("body"))
    def content(self, activity: Activity) -> str:
        """Return the record as it is sent, one field a line. The API guide puts no personal data in it."""
        fields = json.loads(activity.body)
        return _lines(f"{name}: {value}" for name, value in fields.items())

    @admin.action(description=_("Requeue dead activities"), permissions=["act"])
    def requeue(self, request: HttpRequest, queryset: QuerySet[Activity]) -> None:
        """Give the chosen dead activities another try."""
        requeued = activities.requeue(_plain(queryset))
        self._acted(request, "requeued", requeued.count)
        self.message_user(
            request, _result_of(requeued.count), messages.SUCCESS if requeued.count else messages.WARNING
        )
        if requeued.refused:
            text = _(
                "Records that still can't be reported: %d. Each one shows the reason. Correct the host's row or its "
                "declaration first, then requeue the record."
            )
            self.message_user(request, str(text) % requeued.refused, messages.WARNING)


def _plain(queryset: QuerySet[Any]) -> QuerySet[Any]:
    """Return the chosen rows by their keys: an UPDATE can't have the list's annotations and ordering."""
    chosen: QuerySet[Any] = queryset.model._default_manager.filter(pk__in=queryset.order_by().values("pk"))
    return chosen


def _result_of(count: int) -> str:
    if not count:
        return str(_("None of the chosen records is dead. Nothing was requeued."))
    return ngettext("%d dead record was requeued.", "%d dead records were requeued.", count) % count


def _lines(lines: Iterable[str]) -> SafeString | str:
    return format_html_join(SafeString("<br>"), "{}", ((line,) for line in lines)) or "-"


@admin.register(Lane)
class LaneAdmin(ReadOnlyAdmin):
    """The lanes: which worker delivers which slice of a brand's customers now."""

    list_display = ("brand", "number", "state", "leased_until", "losses", "suspect", "fence")
    list_filter = ("brand",)
    ordering = ("brand", "number")
    fields = ("brand", "number", "state", "owner", "leased_until", "losses", "suspect", "fence")

    @admin.display(description=_("state"))
    def state(self, lane: Lane) -> str:
        """Return which worker has the lane, in a sentence."""
        if not lane.owner:
            return "Free."
        if lane.leased_until is None or lane.leased_until <= timezone.now():
            return f"The worker {lane.owner} stopped without returning the lane. The next worker takes it."
        return f"The worker {lane.owner} delivers this lane."


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyAdmin):
    """The endpoints: which URLs accept records, and which are paused, why, and until when."""

    actions = ("resume",)
    list_display = ("brand", "name", "state", "failures", "refusals", "reason", "error")
    list_filter = ("brand", "name")
    ordering = ("brand", "name")
    fields = ("brand", "name", "state", "paused_until", "reason", "error", "failures", "refusals")

    @admin.display(description=_("state"))
    def state(self, endpoint: Endpoint) -> str:
        """Return whether the endpoint accepts records and what to do, in a sentence or two."""
        return explanation.state_of_endpoint(endpoint, timezone.now())

    @admin.action(description=_("Resume paused endpoints"), permissions=["act"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        """Try the chosen endpoints now, instead of waiting for the end of their pauses."""
        count = breaker.resume(_plain(queryset))
        wakeup.after_commit(using=router.db_for_write(Endpoint))
        self._acted(request, "resumed", count)
        if count:
            text = (
                ngettext("%d endpoint is being tried now.", "%d endpoints are being tried now.", count)
                % count
            )
            self.message_user(request, text, messages.SUCCESS)
        else:
            self.message_user(request, _("None of the chosen endpoints is paused."), messages.WARNING)
