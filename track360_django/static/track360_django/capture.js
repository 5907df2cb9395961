/*
 * Remembers the landing on pages that Django does not render: a CDN's, a static host's, a single-page application's.
 * <script src="…/capture.js" defer data-params="tracking_data" data-window="30" data-attribution="last"
 *         data-promo="" data-domain="" data-endpoint="" data-consent=""></script>
 * What it does, and why it is safe, is in docs/howto/spa-and-cdn.md. Nothing in here throws into the page.
 */
(function (page, doc) {
  "use strict";
  const script = (doc.currentScript || {}).dataset || {};
  const early = page.track360 || {};
  // A frame is no landing: it would be another site's way to plant a value. And twice on a page is once.
  if (page.top !== page || early.pairs) return;

  const header = "x-track360-tracking";
  const time = "t360_at";
  const token = "t360";
  const promo = script.promo || "promo_code";
  const params = (script.params || "tracking_data").split(/[\s,]+/).concat(script.promo || []);
  // Promo codes are typed: a form's own stays, and says nothing of a landing.
  const names = params.filter((key) => key !== promo);
  const isFirst = script.attribution === "first";
  const fetch = page.fetch;
  let mayStore = script.consent !== "required" || early.consent === true;
  // What rides along without being stored: there is no consent, or no cookie.
  let held = "";

  const attempt = (act) => {
    try {
      return act();
    } catch (_) {}
  };
  const stored = () => (/(?:^|; )track360_js=([!-:<-~]+)(?:;|$)/.exec(doc.cookie) || [])[1] || "";
  // Form-encoded pairs: what the header says, what the cookie holds, what a form is given.
  const pairs = () => attempt(() => held || stored()) || "";
  const store = (text, days) => {
    doc.cookie =
      `track360_js=${text};path=/;samesite=lax;max-age=${days * 86400}` +
      (script.domain ? ";domain=" + script.domain : "") +
      (location.protocol === "https:" ? ";secure" : "");
  };
  // `no-cors`: another origin of the same site needs no preflight, and nobody reads the answer.
  const tell = (text) => {
    const body = new URLSearchParams(text);
    if (script.endpoint)
      fetch(script.endpoint, { method: "POST", body, mode: "no-cors", credentials: "include", keepalive: true }).then(
        ({ status }) => status === 404 && console.warn("track360: 404", script.endpoint),
        () => {}
      );
  };
  const keep = () => {
    if (!mayStore || !held) return;
    const text = held;
    store(text, script.window || 30);
    // A browser without cookies keeps it as long as the page is open.
    if (stored() === text) held = "";
    tell(text);
  };
  const consent = (isGiven) =>
    attempt(() => {
      const wasStored = mayStore || stored();
      mayStore = isGiven === true;
      if (mayStore) return keep();
      held = "";
      store("", 0);
      if (wasStored) tell("forget=1");
    });

  // Exact or not at all, as the server: decoded once, at most 50 characters, none of them damaged.
  const land = () =>
    attempt(() => {
      let found = new URLSearchParams();
      let carried;
      for (const pair of location.search.slice(1).split("&"))
        attempt(() => {
          const [key, value] = pair.replace(/\+/g, " ").split(/=(.*)/s).map(decodeURIComponent);
          if (key === token && /^[\w.:-]+$/.test(value)) carried = value;
          else if (params.includes(key) && value && [...value].length <= 50 && !/[\p{Cc}\ufffd]/u.test(value))
            found.set(key, value);
        });
      if (`${found}`) found.set(time, Math.floor(Date.now() / 1000));
      // Only the server knows what a carry token is worth: until then it displaces nothing.
      else if (carried) found = new URLSearchParams(pairs());
      if (carried) found.set(token, carried);
      if (!`${found}` || (isFirst && pairs())) return;
      held = `${found}`;
      keep();
    });

  const isOurs = (method, url) =>
    /^(post|put|patch|delete)$/i.test(method) && new URL(url, doc.baseURI).origin === location.origin;

  // Forms, also those that a script submits or reads: only POST, only to this origin.
  let submitter;
  doc.addEventListener(
    "submit",
    (event) => {
      submitter = event.submitter;
      setTimeout(() => (submitter = 0));
    },
    true
  );
  doc.addEventListener("formdata", (event) =>
    attempt(() => {
      const form = event.target;
      const data = event.formData;
      const get = (element, key) => Element.prototype.getAttribute.call(element, key);
      const of = (key) => (submitter && submitter.form === form && get(submitter, "form" + key)) || get(form, key);
      if (!isOurs(of("method"), of("action") || location.href)) return;
      const ours = new URLSearchParams(pairs());
      if (data.has(promo)) ours.delete(promo);
      const at = ours.get(time);
      const theirs = data.get(time);
      // The server's own field stays, unless ours is the touch that counts.
      const isTheirs =
        names.some((key) => data.get(key)) && !(at && theirs && (isFirst ? at < theirs : at > theirs));
      if (at && !isTheirs) names.forEach((key) => data.delete(key));
      ours.forEach((value, key) => {
        if (!isTheirs || key === token) data.set(key, value);
      });
    })
  );

  // A header of our own would make another origin's browser ask first, and would tell it the value.
  attempt(() => {
    page.fetch = function (input, init) {
      const request = attempt(() => {
        const from = input instanceof Request ? input : { url: input };
        const text = pairs();
        if (!text || !isOurs((init && init.method) || from.method, from.url)) return;
        const made = new Request(input, init);
        if (!made.headers.has(header)) made.headers.set(header, text);
        return made;
      });
      return request ? fetch.call(page, request) : fetch.apply(this, arguments);
    };
    const waiting = new WeakSet();
    const before = (method, act) => {
      const prototype = XMLHttpRequest.prototype;
      const original = prototype[method];
      prototype[method] = function (...args) {
        attempt(() => act(this, ...args));
        return original.apply(this, args);
      };
    };
    before("open", (request, method, url) => waiting[isOurs(method, url) ? "add" : "delete"](request));
    before("setRequestHeader", (request, key) => key.toLowerCase() === header && waiting.delete(request));
    before("send", (request) => waiting.has(request) && pairs() && request.setRequestHeader(header, pairs()));
  });

  page.track360 = { consent, pairs };
  doc.addEventListener("track360:consent", (event) => consent(event.detail));
  // A page that is rendered before anybody opens it is no landing yet.
  if (doc.prerendering) doc.addEventListener("prerenderingchange", land, { once: true });
  else land();
})(window, document);
