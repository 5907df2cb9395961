"""The touches of one request's visitor, wherever they come from: `request.track360`."""

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
    """A customer's row that waits for the end of a request: in which database, which row, in which one its user is."""

    using: str
    pk: int
    place: str | None


class Touches:
    """
    The touches seen so far by the visitor of one request: `request.track360`.

    Nothing is read before it is asked for: building one costs no query, no session and no cookie.
    In async code with sessions in the database, call `await request.track360.aload()` first.

    Source: API guide, "Tracking Parameters"; where it is kept is our choice (`TRACK360["STORAGE"]`).
    """

    # The defaults are the class's: building one is part of every request of the host.
    # The query string, where it may hold a parameter of ours, and whether a person opens a page with it.
    query: bytes = b""
    is_landing: bool = False
    # Customer rows that the safety net wrote during this request, and where their users are: aliases of databases.
    held: tuple[Held, ...] = ()
    # Customer rows that a report made of this visitor's signup: (database alias, pk).
    signed_up: tuple[tuple[str, int], ...] = ()
    # The session could not be read.
    is_blind: bool = False
    # What the browser remembers is to be erased.
    is_forgotten: bool = False
    # The response is this visitor's alone: it may say by which link they came, or change what their browser remembers.
    is_private: bool = False
    # There is a body, which may hold fields for us.
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
        """The settings of the brand that the request belongs to; of no brand, as long as nobody can tell."""
        if self._settings is not None:
            return self._settings
        settings = conf.for_request(self.request)
        if settings.brand or not conf.settings.BRANDS:
            # What tells the brand may be known later, by another middleware: what was read as nobody's is read again.
            self._settings = settings
            if conf.settings.BRANDS and not (self.is_forgotten or self.is_blind):
                self._recalled = self._carried = None
        return settings

    @property
    def landing(self) -> Landing | None:
        """What this request's own URL brought to a page, or somebody's call of `land`."""
        if not self._is_landing_read and self.is_landing:
            self._landing = self._read_query()
            # Until the brand is known, it may be read otherwise.
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
        """Both touches: what the browser remembers, what this request carries in its header or body, and its URL."""
        settings = self.settings
        if self._recalled is None:
            self._recall(self._stored_session(settings), settings)
        return self._combined(settings)

    @property
    def carries_news(self) -> bool:
        """
        Whether a form of the host's own page carries what may be remembered from now on.

        Only where consent decides: a visitor may give it by the very form that carries the value.
        """
        # A body that the host has not read is not read by us.
        if not self.has_body or "_post" not in self.request.__dict__ or not conf.entrance().asks_consent:
            return False
        return request_fields.says_own_page(self.request) is not False and any(
            name in self.request.POST for name in conf.landing_params()
        )

    @property
    def remembered(self) -> Memory:
        """What the browser remembers, without this request."""
        return self._recalled or Memory()

    @property
    def is_read(self) -> bool:
        """Whether anything was read that another visitor's browser may not have."""
        return self._recalled is not None

    async def aload(self) -> Memory:
        """Read what is remembered without blocking the event loop; afterwards the attributes are plain reads."""
        # Functions of the host, for the brand here and for promo codes below, may ask the database.
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
        Return what a form or a client has to send back so that this visitor's signup is attributed without cookies.

        Returns:
            The credited touch's parameters, and `t360_at`; empty when there is nothing to send back.
        """
        touch = self.credited if self.settings.ENABLED else None
        return {**touch.params, TIME_FIELD: str(int(touch.at.timestamp()))} if touch else {}

    def land(self, landing: Landing) -> None:
        """Remember a landing that did not come by this request's URL, when the request ends and if there is consent."""
        self._landing, self._is_landing_read = landing, True
        self.is_landing, self.is_forgotten = True, False

    def forget(self) -> None:
        """Erase what the browser remembers, when the request ends: for a visitor who withdraws their consent."""
        self._landing, self._is_landing_read = None, True
        self._recalled = Memory()
        self.is_forgotten = True

    def forget_all_but_landing(self) -> None:
        """Go on with what this request brought itself, for want of the rest."""
        self._recalled = Memory()

    def carried(self, settings: Settings) -> tuple[Landing, ...]:
        """Return what this request carries beside its URL: in the header, and in the body as far as it was read."""
        fields = request_fields.fields_of(self.request, settings) if self.has_body else {}
        if self._carried is None or fields != self._fields:
            # The host may read the body later, and a function for promo codes should be asked once.
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
        """Take the cookie's memory, and where it has none, the session's."""
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
            # A form without an action is sent to the address of its page. When that was opened, nobody knows, so it
            # displaces nothing that has a time.
            memory = memory.with_landing(own, window, now)
        if memory.last is not None:
            # A page that may show this visitor's link is kept by no cache, also not by one inside of this middleware.
            self.is_private = True
            self.request._cache_update_cache = False  # type: ignore[attr-defined]  # noqa: SLF001  Django's own flag
        return memory


# Set by the middleware alone.
serving: ContextVar[Touches | None] = ContextVar("track360_touches", default=None)


def current() -> Touches | None:
    """Return the touches of the request being served in this context, None outside a request."""
    return serving.get()


def of(request: Any) -> Touches | None:
    """
    Return the touches of a request; of the request being served when none is given.

    A wrapped request (Django REST framework's) is unwrapped.
    """
    request = getattr(request, "_request", request)
    found = getattr(request, "track360", None)
    if isinstance(found, Touches):
        return found
    return current()


def carry(request: Any, *, max_age: timedelta | None = None) -> str:
    """
    Return a signed token of what a visitor's browser remembers, to be opened in another browser.

    Put it into a link as `?t360=…`: in a verification e-mail, a link to an app, a QR code. Whoever lands with it has
    the touches of this visitor, with their own times.

    Args:
        request: The visitor's request.
        max_age: How long the token is good; as long as the attribution window, if None. It is never good for longer.

    Returns:
        The token; an empty text when there is nothing to carry.

    Source: none, our choice: a customer who changes from the computer to the telephone would lose the affiliate.
    """
    touches = of(request)
    return touches.token(max_age) if touches is not None else ""
