"""The customer's pages, and the payment provider's callbacks."""

from django.urls import path

from example_project.cashier import views

DEPOSITS, WITHDRAWALS = {"kind": "deposits"}, {"kind": "withdrawals"}

app_name = "cashier"
urlpatterns = [
    path("", views.payments, DEPOSITS, name="home"),
    path("deposits/", views.payments, DEPOSITS, name="deposits"),
    path("withdrawals/", views.payments, WITHDRAWALS, name="withdrawals"),
    path("deposits/<reference>/", views.payment, DEPOSITS, name="deposit"),
    path("withdrawals/<reference>/", views.payment, WITHDRAWALS, name="withdrawal"),
    path("deposits/<reference>/complete/", views.advance, {**DEPOSITS, "step": "complete"}, name="complete"),
    path("deposits/<reference>/<step>/", views.advance, DEPOSITS, name="advance-deposit"),
    path("withdrawals/<reference>/<step>/", views.advance, WITHDRAWALS, name="advance-withdrawal"),
]
