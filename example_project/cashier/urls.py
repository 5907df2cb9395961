"""The customer's pages, and the payment provider's callback."""

from django.urls import path

from example_project.cashier import views

app_name = "cashier"
urlpatterns = [
    path("", views.home, name="home"),
    path("deposits/", views.home, name="deposits"),
    path("deposits/<reference>/", views.deposit, name="deposit"),
    path("deposits/<reference>/complete/", views.complete, name="complete"),
]
