/*
 * Remembers the landing on pages that Django does not render: on a CDN, a static host, in a single-page application.
 * <script src="…/capture.js" defer data-params="tracking_data" data-window="30" data-attribution="last"
 *         data-promo="" data-domain="" data-endpoint="" data-consent=""></script>
 * What it does, and why it is safe: see docs/howto/spa-and-cdn.md. No error of this script reaches the page.
 */
(function (page, doc) {
  "use strict";
  const script = (doc.currentScript || {}).dataset || {};
  const early = page.track360 || {};
  // A frame is not a landing: through a frame, another site could plant a value. A second copy on a page does nothing.
  if (page.top !== page || early.pairs) return;

  const header = "x-track360-tracking";
  const time = "t360_at";
  const token = "t360";
  const promo = script.promo || "promo_code";
  const params = (script.params || "tracking_data").split(/[\s,]+/).concat(script.promo || []);
  // People type promo codes: a code in a form stays there.
  const names = params.filter((key) => key !== promo);
  const isFirst = script.attribution === "first";
  const fetch = page.fetch;
  let mayStore = script.consent !== "required" || early.consent === true;
  // The pairs that are sent but not stored: there is no consent, or there are no cookies.
  let held = "";

  const attempt = (act) => {
    try {
      return act();
    } catch (_) {}
  };
  const stored = () => (/(?:^|; )track360_js=([!-:<-~]+)(?:;|$)/.exec(doc.cookie) || [])[1] || "";
  // Form-encoded pairs, for the header, for the cookie, and for a form.
  const pairs = () => attempt(() => held || stored()) || "";
  const store = (text, days) => {
    doc.cookie =
      `track360_js=${text};path=/;samesite=lax;max-age=${days * 86400}` +
      (script.domain ? ";domain=" + script.domain : "") +
      (location.protocol === "https:" ? ";secure" : "");
  };
  // `no-cors`: a request to another origin of the same site then needs no preflight. The answer is not read.
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
    // Without cookies, the pairs are kept as long as the page is open.
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

  // Exact or not at all, as the server: decoded once, also behind `&amp;` or a second `?`.
  const land = () =>
    attempt(() => {
      let carried;
      let found = new URLSearchParams();
      for (const [, ...pair] of location.search.matchAll(/[?&;]([^?&;=]+)=(?=([^&]*))/g))
        attempt(() => {
          const [key, value] = pair.map((raw) => decodeURIComponent(raw.replace(/\+/g, " ")));
          if (key === token && /^[\w.:-]+$/.test(value)) carried = value;
          else if (
            params.includes(key) &&
            /^[^\p{Cc}\ufffd]{1,50}$/u.test(value) &&
            !/[?&;#][^?&;#=]+=/.test(value.replace(key, "?a"))
          )
            found.set(key, value);
        });
      if (`${found}`) found.set(time, Math.floor(Date.now() / 1000));
      // Only the server can read a carry token, so here the token replaces no pairs.
      else if (carried) found = new URLSearchParams(pairs());
      if (carried) found.set(token, carried);
      if (!`${found}` || (isFirst && pairs())) return;
      held = `${found}`;
      keep();
    });

  const isOurs = (method, url) =>
    /^(post|put|patch|delete)$/i.test(method) && new URL(url, doc.baseURI).origin === location.origin;

  // Forms, also a script's: only POST, only to this origin.
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
      // The field that the server wrote stays, unless our touch is the one that counts.
      const isTheirs =
        names.some((key) => data.get(key)) && !(at && theirs && (isFirst ? at < theirs : at > theirs));
      if (at && !isTheirs) names.forEach((key) => data.delete(key));
      ours.forEach((value, key) => {
        if (!isTheirs || key === token) data.set(key, value);
      });
    })
  );

  // Only to this origin: for another one, our header would cause a preflight, and would reveal the value.
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
  // A page that is prerendered is not a landing until the visitor opens it.
  if (doc.prerendering) doc.addEventListener("prerenderingchange", land, { once: true });
  else land();
})(window, document);
