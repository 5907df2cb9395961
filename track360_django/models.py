"""
The tables: customers and activities to report, the state of their delivery, and the lanes that workers take.

State and its invariants only. `outbox` is the only writer of delivery state. Nothing here sends anything.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from track360_django.db.clock import Now
from track360_django.db.fields import ExactCharField, ExactTextField, PartialIndex


class Status(models.TextChoices):
    """The four states of a record, the same in code, tables, admin, logs and docs."""

    HELD = "held", _("held")
    PENDING = "pending", _("pending")
    DELIVERED = "delivered", _("delivered")
    DEAD = "dead", _("dead")


class EndpointName(models.TextChoices):
    """The two URLs that records go to."""

    CUSTOMERS = "customers", _("customers")
    ACTIVITIES = "activities", _("activities")


# Note [Due]  # noqa: ERA001  a title, no code
# `due_at` is null unless there is something to do at that time. The partial index on it therefore holds only the
# rows that wait for a worker. To find due work costs the same, even with a million held, dead or delivered rows.
#
# A new record is due at once, by the database's clock. If the customer of an activity is not accepted yet, the worker
# parks the activity (held, due_at null). The settling of the customer releases it. Both happen under the lease of the
# lane that the two share, so a release can't miss a row that is being parked.
# A customer that the safety net wrote is held and due a minute later: if no signup source claims it, it releases itself.


class Delivery(models.Model):
    """The state of delivery of a record, shared by customers and activities."""

    brand = ExactCharField(_("brand"), max_length=64)
    lane = models.PositiveSmallIntegerField(_("lane"))
    status = ExactCharField(_("status"), max_length=9, choices=Status.choices, default=Status.PENDING)
    # See Note [Due].
    due_at = models.DateTimeField(_("due at"), null=True, blank=True, db_default=Now())
    # The age limit counts from here: when this version began to wait or, once it was tried, its first attempt.
    queued_at = models.DateTimeField(_("queued at"), db_default=Now())
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    # Rises with each change. If it rises while the record is being sent, the record is sent again.
    version = models.PositiveIntegerField(_("version"), default=1)
    accepted_version = models.PositiveIntegerField(_("accepted version"), default=0)
    reason = ExactCharField(_("reason"), max_length=64, blank=True, default="")
    error = ExactCharField(_("error"), max_length=500, blank=True, default="")
    created_at = models.DateTimeField(_("created at"), editable=False, db_default=Now())
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)

    class Meta:
        abstract = True


class Customer(Delivery):
    """
    One customer of a brand, as state: a change marks the row due, and the body is built when it is sent.

    No name is copied into this table: the body is built from the current user.
    `tracking` maps parameter names to values, verbatim, frozen at the signup.

    Source: API guide, "Customer API".
    """

    customer_id = ExactCharField(_("customer id"), max_length=255)
    user_pk = ExactCharField(_("user"), max_length=255, blank=True, default="")
    tracking = models.JSONField(_("tracking data"), default=dict, blank=True)
    first_touch = models.JSONField(_("first touch"), null=True, blank=True)
    last_touch = models.JSONField(_("last touch"), null=True, blank=True)
    unattributed_reason = ExactCharField(_("unattributed because"), max_length=64, blank=True, default="")
    source = ExactCharField(_("signup source"), max_length=64, blank=True, default="")
    regtime = models.DateTimeField(_("registered at"), null=True, blank=True)
    fields = models.JSONField(_("additional fields"), default=dict, blank=True)

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["brand", "customer_id"], name="track360_customer_unique"),
        ]
        indexes: ClassVar = [
            PartialIndex(
                fields=["brand", "lane", "due_at", "id"],
                where=Q(due_at__isnull=False),
                name="track360_customer_due",
            ),
            models.Index(fields=["user_pk"], name="track360_customer_user"),
            # Held customers only, so it adds no cost to a delivery.
            PartialIndex(fields=["brand", "id"], where=Q(status=Status.HELD), name="track360_customer_held"),
        ]

    def __str__(self) -> str:
        return self.customer_id


# Brand, event name, event id.
ActivityKey: TypeAlias = tuple[str, str, str]

# Note [Lean activities]
# Settling rewrites each index of the row, so each index adds cost to every delivered activity. There are only those that
# deliver and prune need. An index finds the activities of a customer while they wait; later only people search for them.
# The database checks no foreign key: the check would lock the customer for each activity that the host writes, and
# transactions of the host and the settling would wait for each other. Our code adds an activity to an existing customer
# in one statement, and deletes no customer that has an activity.


class Activity(Delivery):
    """
    One activity of a customer, as a log: the body is fixed before the first attempt, so a retry is byte-identical.

    `source` and `source_pk` name the host's row that it came from.

    Source: API guide, "Activity API".
    """

    # Null only for a dead record with an unknown customer. See Note [Lean activities].
    customer = models.ForeignKey(
        Customer,
        models.PROTECT,
        related_name="activities",
        null=True,
        blank=True,
        db_index=False,
        db_constraint=False,
        verbose_name=_("customer"),
    )
    eventname = ExactCharField(_("event name"), max_length=100)
    eventid = ExactCharField(_("event id"), max_length=255)
    # Empty after it was pruned.
    body = ExactTextField(_("body"), blank=True)
    source = ExactCharField(_("source"), max_length=100, blank=True, default="")
    source_pk = ExactCharField(_("source row"), max_length=255, blank=True, default="")
    # The host's row changed after the body was fixed.
    changed_at = models.DateTimeField(_("changed at"), null=True, blank=True)

    class Meta:
        verbose_name = _("activity")
        verbose_name_plural = _("activities")
        constraints: ClassVar = [
            # The column that differs most comes first: an index compares a key column by column.
            models.UniqueConstraint(
                fields=["eventid", "eventname", "brand"], name="track360_activity_unique"
            ),
        ]
        indexes: ClassVar = [
            PartialIndex(
                fields=["brand", "lane", "due_at", "id"],
                where=Q(due_at__isnull=False),
                name="track360_activity_due",
            ),
            PartialIndex(
                fields=["customer"], where=~Q(status=Status.DELIVERED), name="track360_activity_waiting"
            ),
            PartialIndex(
                fields=["delivered_at"],
                where=Q(status=Status.DELIVERED) & ~Q(body=""),
                name="track360_act_delivered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.eventname} {self.eventid}"

    @property
    def key(self) -> ActivityKey:
        """The unique key of the activity: brand, event name, event id."""
        return self.brand, self.eventname, self.eventid


class Lane(models.Model):
    """
    A slice of a brand's customers, delivered by one worker at a time: the lease.

    `fence` rises each time the lane is taken. Settling checks it, so a worker that lost its lease changes nothing.
    `losses` counts workers that took the lane and never returned it: batches become smaller with each, and larger again
    with each record that is settled. A record that is sent alone is the `suspect`: endpoint, id, and how often it was sent.
    """

    brand = ExactCharField(_("brand"), max_length=64)
    number = models.PositiveSmallIntegerField(_("number"))
    owner = ExactCharField(_("owner"), max_length=64, blank=True, default="")
    leased_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    fence = models.PositiveBigIntegerField(_("fence"), default=0)
    losses = models.PositiveSmallIntegerField(_("losses"), default=0)
    suspect = ExactCharField(_("suspect"), max_length=40, blank=True, default="")

    class Meta:
        verbose_name = _("lane")
        verbose_name_plural = _("lanes")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["brand", "number"], name="track360_lane_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.brand}/{self.number}"


class Endpoint(models.Model):
    """
    A URL that records are sent to, with the breaker that all workers share.

    `failures` counts temporary faults in a row; `refusals` counts records refused in a row, with none accepted between.
    While `paused_until` is in the future, nothing is sent there. When it has passed, one record is sent as a probe.
    """

    brand = ExactCharField(_("brand"), max_length=64)
    name = ExactCharField(_("name"), max_length=10, choices=EndpointName.choices)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)
    reason = ExactCharField(_("reason"), max_length=64, blank=True, default="")
    error = ExactCharField(_("error"), max_length=500, blank=True, default="")
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    refusals = models.PositiveIntegerField(_("refusals in a row"), default=0)

    class Meta:
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["brand", "name"], name="track360_endpoint_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.brand}/{self.name}"


class Doorbell(models.Model):
    """
    Whether a wake-up is under way: one row for each database.

    A commit that finds it rung publishes no wake-up. A worker clears it first, then looks for due records.
    """

    rung_at = models.DateTimeField(_("rung at"), null=True, blank=True)

    class Meta:
        verbose_name = _("doorbell")
        verbose_name_plural = _("doorbells")

    def __str__(self) -> str:
        return "doorbell"


class Pace(models.Model):
    """When the next request of a brand may begin, for brands with `REQUESTS_PER_SECOND`: shared by all workers."""

    brand = ExactCharField(_("brand"), max_length=64, unique=True)
    next_at = models.DateTimeField(_("next request at"), null=True, blank=True)

    class Meta:
        verbose_name = _("pace")
        verbose_name_plural = _("paces")

    def __str__(self) -> str:
        return self.brand
