"""The example project's pages, and beside them those that only tests need."""

from __future__ import annotations

from django.urls import include, path
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_exempt

from tests.host import views

urlpatterns = [
    path("", include("example_project.urls")),
    path("host/page/", views.page),
    path("host/async-page/", views.async_page),
    path("host/public/", views.public),
    path("host/hop/", views.hop),
    path("host/missing/", views.missing),
    path("host/broken/", views.broken),
    path("host/log-out/", views.log_out),
    path("host/touches/", views.touches),
    path("host/async-touches/", views.async_touches),
    path("host/join/", views.join),
    path("host/join-and-fail/", views.join_and_fail),
    path("host/join-by-code/", views.join_by_code),
    path("host/join-for/", views.join_for),
    path("host/join-announced-for/", views.join_announced_for),
    path("host/join-as-staff/", views.join_as_staff),
    path("host/join-and-be-promoted/", views.join_and_be_promoted),
    path("host/join-inactive/", views.join_inactive),
    path("host/join-as-player/", views.join_as_player),
    path("host/join-as-trader/", views.join_as_trader),
    path("host/become-trader/", views.become_trader),
    path("host/invite/", views.invite),
    path("host/join-by-code-of-house/", views.join_by_code_of_house),
    path("host/announce-nobody/", views.announce_nobody),
    path("host/join-elsewhere/", views.join_elsewhere),
    path("host/async-join/", views.async_join),
    path("host/join-json/", views.join_json),
    path("host/join-json-stream/", views.join_json_stream),
    path("host/join-blindly/", views.join_blindly),
    path("host/join-and-roll-back/", views.join_and_roll_back),
    path("host/fields/", views.fields),
    path("host/carry/", views.carry),
    path("host/agree/", views.agree),
    path("host/begin-session/", views.begin_session),
    path("host/slow/", views.slow),
    path("host/withdraw/", views.withdraw),
    path("host/report/", views.report),
    path("host/report-visitor/", views.report_visitor),
    path("host/announce/", views.announce),
    path("host/api/join/", csrf_exempt(views.join)),
    path("host/pay/", views.pay),
    path("host/pay-id/", views.pay_id),
    path("host/update-visitor/", views.update_visitor),
    path("host/form/", views.form),
    path("host/cached-form/", cache_page(600)(views.form)),
    path("host/async-form/", views.async_form),
]
