"""Sign-up, login and logout with nothing but Django; django-allauth's are at `/accounts/`."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from example_project.accounts import views

urlpatterns = [
    path("signup/", views.signup, name="signup"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(next_page="landing"), name="logout"),
]
