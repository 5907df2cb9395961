"""The touches of the visitor of one request, from all sources: `request.track360`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from asgiref.sync import sync_to_async

from track360_django import conf
from track360_django.attribution import carry_token, request_fields
from track360_django.attribution.cookie import read_cookie
from track360_django.attribution.landing import TIME_FIELD, landing_in, landing_in_header, landing_of
from track360_django.attribution.session import reads_session, session_key
from track360_django.attribution.state import parse_state, window_of
from track360_django.attribution.touch import EXPIRED, Landing, Memory, Touch

if TYPE_CHECKING:
    from django.http import HttpRequest

    from track360_django.conf import Settings


class Held(NamedTuple):
    """A held customer that waits for the end of the request: database alias, primary key, alias of the user's database."""

    using: str
    pk: int
    place: str | None


class Touches:
    """
    The touches of the visitor of one request, up to now: `request.track360`.

    Everything is read at its first use: to create the object costs no query, no session access and no cookie.
    In async code with sessions in the database, call `await request.track360.aload()` first.

    Source: API guide, "Tracking Parameters"; where touches are stored is our choice (`TRACK360["STORAGE"]`).
    """

    # The defaults are attributes of the class, because every request of the host creates an object.
    # The query string if it may contain one of our parameters, and whether a person opens a page with it.
    query: bytes = b""
    is_landing: bool = False
    # Customers that the safety net wrote during this request.
    held: tuple[Held, ...] = ()
    # Customers that a report wrote for this visitor's signup: (database alias, pk).
    signed_up: tuple[tuple[str, int], ...] = ()
    # The session could not be read.
    is_blind: bool = False
    # The memory of the browser is to be erased.
    is_forgotten: bool = False
    # The response is for this visitor only: it may contain the visitor's link, or change the memory of the browser.
    is_private: bool = False
    # The request has a body, which may contain our fields.
    has_body: bool = False
    _landing: Landing | None = None
    _is_landing_read: bool = False
    _recalled: Memory | None = None
    _carried: tuple[Landing, ...] | None = None
    _fields: Mapping[str, str] = {}
    _settings: Settings | None = None

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @property
    def settings(self) -> Settings:
        """The settings of the brand of the request; settings of no brand while the brand is unknown."""
        if self._settings is not None:
            return self._settings
        settings = conf.for_request(self.request)
        if settings.brand or not conf.settings.BRANDS:
            # Another middleware may set the brand later. Touches that were read without a brand are then read again.
            self._settings = settings
            if conf.settings.BRANDS and not (self.is_forgotten or self.is_blind):
                self._recalled = self._carried = None
        return settings

    @property
    def landing(self) -> Landing | None:
        """The landing in this request's own URL, or the one that was given to `land`."""
        if not self._is_landing_read and self.is_landing:
            self._landing = self._read_query()
            # While the brand is unknown, a later read may give another result.
            self._is_landing_read = self._settings is not None
        return self._landing

    def _read_query(self) -> Landing | None:
        is_wanted = self.query and self.settings.ENABLED
        return landing_in(self.query, self.settings, datetime.now(UTC)) if is_wanted else None

    @property
    def first(self) -> Touch | None:
        """The oldest touch within the attribution window."""
        return self.memory.first

    @property
    def last(self) -> Touch | None:
        """The newest touch within the attribution window."""
        return self.memory.last

    @property
    def credited(self) -> Touch | None:
        """The touch that a signup now would be credited to, as `ATTRIBUTION` says."""
        return self.first if self.settings.ATTRIBUTION == "first" else self.last

    @property
    def memory(self) -> Memory:
        """The first and the last touch, from the browser's memory and this request's header, body and URL."""
        settings = self.settings
        if self._recalled is None:
            self._recall(self._stored_session(settings), settings)
        return self._combined(settings)

    @property
    def carries_news(self) -> bool:
        """
        Whether a form of the host's own page brings tracking data that may be remembered from now on.

        Only with a CONSENT function: a visitor may give consent with the same form that brings the value.
        """
        # We do not read a body that the host has not read.
        if not self.has_body or "_post" not in self.request.__dict__ or not conf.entrance().asks_consent:
            return False
        return request_fields.says_own_page(self.request) is not False and any(
            name in self.request.POST for name in conf.landing_params()
        )

    @property
    def remembered(self) -> Memory:
        """The memory of the browser, without this request."""
        return self._recalled or Memory()

    @property
    def is_read(self) -> bool:
        """Whether something was read that differs between visitors."""
        return self._recalled is not None

    async def aload(self) -> Memory:
        """Read the memory without blocking the event loop. After this, the attributes need no database."""
        # Functions of the host, for the brand here and for promo codes below, may query the database.
        settings = await sync_to_async(lambda: self.settings)() if conf.settings.BRANDS else self.settings
        if self._recalled is None:
            state = None
            if self._from_cookie(settings).last is None and reads_session(self.request, settings):
                state = await self.request.session.aget(session_key(settings))
            self._recall(state, settings)
        if self.query or self.has_body:
            return await sync_to_async(self._combined)(settings)
        return self._combined(settings)

    def as_fields(self) -> dict[str, str]:
        """
        Return the fields that a form or a client must send back to attribute this visitor's signup without cookies.

        Returns:
            The parameters of the credited touch, and `t360_at`; empty if there is no touch.
        """
        touch = self.credited if self.settings.ENABLED else None
        return {**touch.params, TIME_FIELD: str(int(touch.at.timestamp()))} if touch else {}

    def land(self, landing: Landing) -> None:
        """Remember a landing that is not in this request's URL, at the end of the request and if there is consent."""
        self._landing, self._is_landing_read = landing, True
        self.is_landing, self.is_forgotten = True, False

    def forget(self) -> None:
        """Erase the memory of the browser at the end of the request: for a visitor who withdraws consent."""
        self._landing, self._is_landing_read = None, True
        self._recalled = Memory()
        self.is_forgotten = True

    def forget_all_but_landing(self) -> None:
        """Continue with the landing of this request only, because the memory can't be read."""
        self._recalled = Memory()

    def carried(self, settings: Settings) -> tuple[Landing, ...]:
        """Return the landings in this request's header, and in its body as far as it was read."""
        fields = request_fields.fields_of(self.request, settings) if self.has_body else {}
        if self._carried is None or fields != self._fields:
            # The host may read the body later, and a function for promo codes should be called once only.
            self._carried, self._fields = tuple(self._read_carried(fields, settings)), fields
        return self._carried

    def _read_carried(self, fields: dict[str, str], settings: Settings) -> Iterator[Landing]:
        if not settings.ENABLED:
            return
        now = datetime.now(UTC)
        raw = self.request.META.get(request_fields.META_KEY)
        if raw and (header := landing_in_header(raw, settings, now)):
            yield header
        if fields and (body := landing_of(fields, settings, now)):
            yield body

    def token(self, max_age: timedelta | None = None) -> str:
        """Return a carry token; see `attribution.carry`."""
        return carry_token.token_of(self.memory, self.settings, datetime.now(UTC), max_age)

    def _from_cookie(self, settings: Settings) -> Memory:
        return parse_state(read_cookie(self.request, settings), settings)

    def _stored_session(self, settings: Settings) -> object:
        if self._from_cookie(settings).last is None and reads_session(self.request, settings):
            return self.request.session.get(session_key(settings))
        return None

    def _recall(self, session_state: object, settings: Settings) -> None:
        """Take the memory from the cookie; if it has none, from the session."""
        cookie = self._from_cookie(settings)
        session = parse_state(session_state, settings)
        self._recalled = session if cookie.last is None and (session.last or not cookie.lost) else cookie

    def _combined(self, settings: Settings) -> Memory:
        memory = self._recalled or Memory()
        window, now = window_of(settings), datetime.now(UTC)
        for landing in (*((self.landing,) if self.landing else ()), *self.carried(settings)):
            memory = memory.with_landing(landing, window, now)
        if (
            memory.last is None
            and memory.lost != EXPIRED
            and not self.is_landing
            and (own := self._read_query())
        ):
            # A form without an action is sent to the URL of its page. It is unknown when that page was opened, so its
            # parameters replace no touch with a known time.
            memory = memory.with_landing(own, window, now)
        if memory.last is not None:
            # A page that may show this visitor's link must not be cached, not even by a middleware inside of this one.
            self.is_private = True
            self.request._cache_update_cache = False  # type: ignore[attr-defined]  # noqa: SLF001  Django's own flag
        return memory


# Set only by the middleware.
serving: ContextVar[Touches | None] = ContextVar("track360_touches", default=None)


def current() -> Touches | None:
    """Return the touches of the request being served in this context, None outside a request."""
    return serving.get()


def of(request: Any) -> Touches | None:
    """
    Return the touches of a request; without one, of the request being served.

    A wrapped request (Django REST framework's) is unwrapped.
    """
    request = getattr(request, "_request", request)
    found = getattr(request, "track360", None)
    if isinstance(found, Touches):
        return found
    return current()


def carry(request: Any, *, max_age: timedelta | None = None) -> str:
    """
    Return a signed token with the touches of a visitor's browser, to be opened in another browser.

    Put it into a link as `?t360=…`: in a verification e-mail, a link to an app, a QR code. A visitor who lands with the
    token gets the touches of this visitor, with their own times.

    Args:
        request: The visitor's request.
        max_age: How long the token is valid; None means the attribution window. It is never valid for longer.

    Returns:
        The token; an empty text if there are no touches.

    Source: none, our choice: a customer who changes from the computer to the phone would lose the attribution.
    """
    touches = of(request)
    return touches.token(max_age) if touches is not None else ""
