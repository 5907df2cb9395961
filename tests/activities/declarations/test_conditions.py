"""A condition asked about a row in memory says what the database would say, or that only the database can tell."""

from __future__ import annotations

import operator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import FieldError, ValidationError
from django.db.models import Exists, F, Model, Q, Value
from django.db.models.functions import Lower

from example_project.accounts.models import Profile
from example_project.cashier.models import Account, Deposit
from track360_django.activities.declarations.conditions import holds
from track360_django.models import Customer

pytestmark = pytest.mark.django_db

NOON = datetime(2025, 7, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def make_deposit(**changes: Any) -> Deposit:
    """Return a saved deposit."""
    user = User.objects.create_user("alex", first_name="Alex")
    account = Account.objects.create(user=user, currency="USD")
    usual = {"amount": Decimal("250.00"), "currency": "USD", "status": "completed", "completed_at": NOON}
    return Deposit.objects.create(**{"account": account, "reference": "TX-1", **usual, **changes})


def in_database(condition: Q, row: Model) -> bool:
    """Tell what the database says of the saved row."""
    return type(row)._base_manager.filter(pk=row.pk).filter(condition).exists()


ROWS: dict[str, dict[str, Any]] = {
    "completed": {},
    "pending": {"status": "pending", "completed_at": None},
    "choice": {"status": Deposit.Status.COMPLETED},
    "small": {"amount": Decimal("0.01"), "currency": "JPY"},
    "text-amount": {"amount": "250.00"},
    "float-amount": {"amount": 250.0},
    "long-amount": {"amount": Decimal("250.004")},
}

CONDITIONS: dict[str, Q] = {
    "empty": Q(),
    "not-empty-negated": ~Q(),
    "exact": Q(status="completed"),
    "exact-named": Q(status__exact="completed"),
    "exact-choice": Q(status=Deposit.Status.COMPLETED),
    "exact-other-case": Q(status="Completed"),
    "negated": ~Q(status="pending"),
    "twice-negated": ~~Q(status="completed"),
    "and": Q(status="completed", currency="USD"),
    "or": Q(status="failed") | Q(currency="USD"),
    "nested": (Q(status="failed") | Q(currency="USD")) & ~Q(method="bank"),
    "negated-group": ~(Q(status="completed") & Q(currency="JPY")),
    "empty-in-a-group": Q(Q(), Q(status="failed"), _connector=Q.OR),
    "xor": Q(status="completed") ^ Q(currency="USD"),
    "in": Q(status__in=["completed", "failed"]),
    "in-nothing": Q(status__in=[]),
    "not-in-nothing": ~Q(status__in=[]),
    "in-with-none": Q(completed_at__in=[None, NOON]),
    "not-in-with-none": ~Q(completed_at__in=[None, NOON]),
    "in-set": Q(amount__in={Decimal(250), Decimal(1)}),
    "in-query": Q(account__in=Account.objects.filter(currency="USD")),
    "isnull": Q(completed_at__isnull=True),
    "is-not-null": Q(completed_at__isnull=False),
    "not-isnull": ~Q(completed_at__isnull=True),
    "exact-none": Q(completed_at=None),
    "not-exact-none": ~Q(completed_at=None),
    "later": Q(completed_at__gt=NOON - HOUR),
    "not-later": ~Q(completed_at__gt=NOON - HOUR),
    "not-earlier": ~Q(completed_at__lt=NOON - HOUR),
    "same-time": Q(completed_at__gte=NOON, completed_at__lte=NOON),
    "amount": Q(amount=Decimal(250)),
    "amount-text": Q(amount="250.0"),
    "amount-int": Q(amount__gte=250),
    "amount-float": Q(amount__gt=249.99),
    "amount-too-exact": Q(amount=Decimal("250.004")),
    "amount-nearly": Q(amount__lt=Decimal("250.002")),
    "pk": Q(pk__gt=0),
    "pk-text": Q(pk__gt="0"),
    "pk-float": Q(pk__gte=1.5),
    "pk-none": Q(pk=None),
    "text-order": Q(status__gt="COMPLETED"),
    "related": Q(account__currency="USD"),
    "related-far": Q(account__user__first_name="Alex"),
    "related-negated": ~Q(account__user__first_name="Alex"),
    "related-isnull": Q(account__isnull=False),
    "related-text": Q(account_id__gt="0"),
    "related-missing": Q(account__user__profile__country="US"),
    "related-missing-negated": ~Q(account__user__profile__country="US"),
    "related-missing-isnull": Q(account__user__profile__isnull=True),
    "related-many": Q(account__user__groups__name="vip"),
    "contains": Q(reference__contains="TX"),
    "iexact": Q(status__iexact="COMPLETED"),
    "startswith": Q(reference__startswith="TX"),
    "regex": Q(reference__regex=r"^TX"),
    "transform": Q(completed_at__date=date(2025, 7, 20)),
    "transform-compared": Q(completed_at__year__gte=2025),
    "range": Q(amount__range=(1, 1000)),
    "column": Q(amount__gte=F("amount")),
    "expression": Q(status=Lower(Value("COMPLETED"))),
    "exists": Q(Exists(User.objects.filter(first_name="Alex"))),
    "exists-and": Q(Exists(User.objects.all())) & Q(status="failed"),
    "unknown-decides-nothing": Q(reference__contains="TX") & Q(status="completed"),
    "unknown-or": Q(reference__contains="no") | Q(status="completed"),
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_verdict_in_memory_is_the_databases(row: str, condition: str) -> None:
    """Whatever memory says of a saved row, the database says too; where it can't be known, memory says nothing."""
    deposit = make_deposit(**ROWS[row])

    verdict = holds(CONDITIONS[condition], deposit)

    assert verdict in {None, in_database(CONDITIONS[condition], deposit)}


@pytest.mark.parametrize("row", ["completed", "pending"])
def test_verdict_of_combined_conditions_is_the_databases(row: str) -> None:
    """The same holds for each pair of conditions, joined and negated in each way."""
    deposit = make_deposit(**ROWS[row])
    simple = [*CONDITIONS.values()]
    pairs = [
        join(one, other)
        for one in simple
        for other in (Q(status="completed"), ~Q(completed_at__gt=NOON - HOUR), Q(reference__contains="TX"))
        for join in (operator.and_, operator.or_)
    ]
    pairs += [~pair for pair in pairs]
    pairs += [~(~one & Q(status="pending")) for one in simple] + [~(~one | Q(status="x")) for one in simple]

    wrong = [pair for pair in pairs if holds(pair, deposit) not in {None, in_database(pair, deposit)}]

    assert wrong == []


@pytest.mark.parametrize(
    "condition",
    [
        "exact",
        "negated",
        "and",
        "or",
        "nested",
        "in",
        "isnull",
        "exact-none",
        "later",
        "amount",
        "amount-int",
        "pk",
        "related",
        "related-far",
        "related-isnull",
    ],
)
def test_usual_condition_needs_no_query(condition: str, django_assert_num_queries: Any) -> None:
    """What declarations usually ask is told from memory alone."""
    deposit = make_deposit()
    assert deposit.account.user is not None

    with django_assert_num_queries(0):
        verdict = holds(CONDITIONS[condition], deposit)

    assert verdict is not None


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Q(reference__contains="TX") & Q(status="failed"), False),
        (Q(status="completed") | Q(reference__contains="no"), True),
        (~(Q(reference__contains="TX") & Q(status="failed")), True),
        (Q(reference__contains="TX") & Q(status="completed"), None),
        (Q(reference__contains="TX") | Q(status="failed"), None),
    ],
    ids=["and-false", "or-true", "negated", "and-true", "or-false"],
)
def test_known_part_decides_where_it_can(condition: Q, expected: bool | None) -> None:  # noqa: FBT001  a column
    """A part that memory knows decides, if the part that it doesn't know can't change the verdict."""
    assert holds(condition, make_deposit()) is expected


@pytest.mark.parametrize(
    "condition",
    [
        Q(completed_at__gte="not a time"),
        Q(amount="many"),
        Q(amount__gt=None),
        Q(nothing=1),
        Q(status__nothing=1),
        Q(status__method="card"),
        Q(account__nothing=1),
    ],
    ids=str,
)
def test_wrong_condition_fails_in_the_query_alone(condition: Q) -> None:
    """A condition that makes no sense is left to the database, whose error names what is wrong."""
    deposit = make_deposit()

    assert holds(condition, deposit) is None
    with pytest.raises((FieldError, ValidationError, ValueError, TypeError)):
        in_database(condition, deposit)


@pytest.mark.filterwarnings("ignore:DateTimeField .* received a naive datetime:RuntimeWarning")
@pytest.mark.parametrize(
    "wanted",
    [datetime(2025, 7, 20, 11), date(2025, 7, 20)],  # noqa: DTZ001  the point
    ids=["naive", "date"],
)
def test_time_without_a_zone_is_the_databases_to_judge(wanted: date) -> None:
    """A naive time raises nothing in the host's save."""
    deposit = make_deposit()

    verdict = holds(Q(completed_at__gt=wanted), deposit)

    assert verdict in {None, in_database(Q(completed_at__gt=wanted), deposit)}


@pytest.mark.parametrize(
    "condition",
    [
        Q(is_active=True),
        Q(is_active=1),
        ~Q(is_staff=True),
        Q(last_login=None),
        ~Q(last_login__gt=NOON),
        Q(profile__country="US"),
        ~Q(profile__country="US"),
        Q(profile=None),
        Q(accounts__currency="USD"),
        Q(groups__name="vip"),
        Q(username="alex"),
        Q(username__in=["alex", "kim"]),
        Q(date_joined__lte=NOON + timedelta(days=36500)),
    ],
    ids=str,
)
@pytest.mark.parametrize("has_profile", [True, False], ids=["profile", "no-profile"])
def test_verdict_about_a_user_is_the_databases(condition: Q, has_profile: bool) -> None:  # noqa: FBT001  a column
    """The same for users, their flags, and what hangs on them from elsewhere."""
    user = User.objects.create_user("alex")
    if has_profile:
        Profile.objects.create(user=user, country="US")

    assert holds(condition, user) in {None, in_database(condition, user)}


@pytest.mark.parametrize(
    "condition",
    [
        Q(first_touch=None),
        ~Q(first_touch=None),
        Q(first_touch__isnull=True),
        Q(tracking={}),
        Q(tracking={"a": 1.0}),
        Q(tracking__tracking_data="x"),
    ],
    ids=str,
)
@pytest.mark.parametrize("tracking", [{}, {"tracking_data": "x"}, {"a": 1}], ids=str)
# Django 6.1 wants to know which null of JSON is meant; that is the condition's affair.
@pytest.mark.filterwarnings("ignore:Using None as the right-hand side")
def test_verdict_about_json_is_the_databases(condition: Q, tracking: dict[str, Any]) -> None:
    """JSON has a null and an equality of its own, which only the database knows."""
    customer = Customer.objects.create(brand="default", lane=0, customer_id="7", tracking=tracking)

    assert holds(condition, customer) in {None, in_database(condition, customer)}


@pytest.mark.parametrize("kind", [str, int, lambda pk: Account(pk=pk)], ids=["text", "number", "object"])
def test_related_row_is_compared_by_its_key(kind: Any) -> None:
    """A relation may be compared with an object, or with its key in any form."""
    deposit = make_deposit()
    wanted = kind(deposit.account_id)
    conditions = [Q(account=wanted), Q(account__in=[wanted]), ~Q(account=wanted)]
    if not isinstance(wanted, Account):
        conditions += [Q(account_id=wanted), Q(account__pk=wanted), Q(account__id=wanted)]

    verdicts = [holds(condition, deposit) for condition in conditions]

    assert verdicts == [in_database(condition, deposit) for condition in conditions]


def test_long_chain_of_conditions_is_decided() -> None:
    """Hundreds of alternatives are no trouble."""
    condition = reduce(operator.or_, (Q(reference=f"TX-{number}") for number in range(300)))

    assert holds(condition, make_deposit()) is True
