"""The games' pages; the lobby is open to everybody."""

from django.urls import path

from example_project.games import views

app_name = "games"
urlpatterns = [
    path("bets/<reference>/play/", views.play, name="play"),
    path("<product>/", views.table, name="table"),
]
