/* routee-console. Everything here is an addition: without it each page still says all it knows.
   plots: a <figure class="plot"> is drawn from the table inside it · ages · copy · keys · live numbers */
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const number = (text) => { const n = parseFloat(text.replace(/[^\d.-]/g, "")); return Number.isNaN(n) ? null : n; };
  // times on axes are seconds of the wall clock of the console's zone, as the server wrote them, never the browser's
  const two = (x) => String(Math.floor(x)).padStart(2, "0");
  const clock = (s, wide, fine) => (wide ? new Date(s * 1000).getUTCDate() + " " + MONTHS[new Date(s * 1000).getUTCMonth()] + " " : "") + two(s / 3600 % 24) + ":" + two(s / 60 % 60) + (fine ? ":" + two(s % 60) : "");
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const grouped = (n) => n == null ? "" : n >= 1000 ? Math.round(n).toLocaleString("en-GB") : String(+n.toFixed(1));

  const probe = document.createElement("i");
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  };

  /* plots */
  function plot(figure) {
    const place = figure.querySelector(".canvas"), table = figure.querySelector("table"), read = figure.querySelector(".read");
    const heads = $$("thead th", table), rows = $$("tbody tr", table);
    const data = heads.map((_, i) => rows.map((row) => i ? number(row.cells[i].textContent) : +row.cells[0].dataset.x));
    const forecast = JSON.parse(figure.dataset.forecast || "[]"), total = +figure.dataset.total || 0;
    const last = data[0][data[0].length - 1];
    const marked = JSON.parse(figure.dataset.marks || "[]");
    const end = forecast.length ? Math.max(...forecast.map(([, at, spread]) => at + spread)) + 30 : last;
    const narrow = () => place.clientWidth < 560;
    const font = "12px " + getComputedStyle(document.body).fontFamily;
    const hint = read ? read.textContent : "";
    const series = heads.map((head, i) => {
      if (!i) return {};
      const tone = colour(head.dataset.tone || "ink"), dots = head.dataset.kind === "dots";
      return {
        label: head.textContent, stroke: tone, width: dots ? 0 : head.dataset.kind === "thin" ? 1.25 : 2, spanGaps: !dots,
        dash: head.dataset.kind === "dash" ? [5, 4] : undefined,
        points: { show: dots, size: 10, width: 2, fill: colour("page"), stroke: tone }, paths: dots ? () => null : undefined,
      };
    });
    const axis = { font, stroke: colour("ink-3"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    const pen = (u, name, width = 1, dash = []) => { const c = u.ctx; c.strokeStyle = c.fillStyle = colour(name); c.lineWidth = width * devicePixelRatio; c.setLineDash(dash.map((x) => x * devicePixelRatio)); c.font = `${12 * devicePixelRatio}px ${font.slice(5)}`; return c; };
    const line = (c, x0, y0, x1, y1) => { c.beginPath(); c.moveTo(x0, y0); c.lineTo(x1, y1); c.stroke(); };
    const draw = (u) => {
      const r = devicePixelRatio, X = (v) => u.valToPos(v, "x", true), Y = (v) => u.valToPos(v, "y", true), { left, top, width, height } = u.bbox;
      u.ctx.save();
      if (total) {
        const c = pen(u, "line-strong", 1, [2, 3]);
        line(c, left, Y(total), left + width, Y(total));
        pen(u, "ink-2"); c.textAlign = "left"; c.textBaseline = "bottom";
        if (!narrow()) c.fillText(figure.dataset.totalLabel, left + 4 * r, Y(total) - 3 * r);
      }
      if (forecast.length) {
        const c = pen(u, "line-strong", 1);
        line(c, X(last), top, X(last), top + height);
        pen(u, "ink-2"); c.textAlign = "left"; c.textBaseline = "bottom"; c.fillText("now", X(last) + 4 * r, top + height - 4 * r);
        const f = heads.findIndex((h) => h.dataset.forecast), from = data[f][data[f].length - 1];
        pen(u, "ink", 1.25, [3, 3]); c.beginPath(); c.moveTo(X(last), Y(from)); forecast.forEach(([share, at]) => c.lineTo(X(at), Y(share * total))); c.stroke();
        forecast.forEach(([share, at, spread]) => {
          const x = X(at), d = Math.abs(X(spread) - X(0)), y = Y(share * total);
          pen(u, "ink", 1.5); line(c, x - d, y, x + d, y); line(c, x - d, y - 4 * r, x - d, y + 4 * r); line(c, x + d, y - 4 * r, x + d, y + 4 * r);
          c.beginPath(); c.arc(x, y, 3 * r, 0, 7); c.fill();
          c.textAlign = "center"; c.textBaseline = share > 0.92 ? "bottom" : "top"; c.fillText(narrow() ? `${Math.round(share * 100)} %` : `${Math.round(share * 100)} % ${clock(at)} ± ${Math.max(1, Math.round(spread / 60))} min`, x, y + (share > 0.92 ? -6 : 8) * r);
        });
      }
      marked.forEach(([at, label]) => {
        const c = pen(u, "alarm", 1); line(c, X(at), top, X(at), top + height);
        c.textAlign = narrow() && !forecast.length ? "right" : "left"; c.textBaseline = "top"; c.fillText(label, X(at) + (c.textAlign === "left" ? 5 : -5) * r, top + 4 * r);
      });
      // a line is named where it ends, so that no legend has to be decoded
      const ends = heads.map((h, i) => ({ h, i })).filter(({ h, i }) => i && h.dataset.name).map(({ h, i }) => ({ h, y: Y(data[i][data[i].length - 1]) })).sort((a, b) => a.y - b.y);
      ends.forEach((e, i) => { if (i && e.y - ends[i - 1].y < 15 * r) e.y = ends[i - 1].y + 15 * r; });
      const over = ends.length ? Math.max(0, ends[ends.length - 1].y - (top + height - 6 * r)) : 0;
      ends.forEach((e) => { e.y -= over; });
      ends.forEach(({ h, y }) => {
        const c = pen(u, "ink"); c.textBaseline = "middle"; c.textAlign = "left";
        const x = X(last) + 8 * r, words = h.dataset.name, w = c.measureText(words).width;
        c.fillStyle = colour("page"); c.fillRect(x - 2 * r, y - 7 * r, w + 16 * r, 14 * r);
        c.fillStyle = colour(h.dataset.tone || "ink"); c.fillRect(x, y - 1.5 * r, 8 * r, 3 * r);
        c.fillStyle = colour("ink"); c.fillText(words, x + 12 * r, y);
      });
      u.ctx.restore();
    };
    const named = heads.some((h) => h.dataset.name);
    const u = new uPlot({
      width: place.clientWidth, height: place.clientHeight, series, legend: { show: false },
      padding: [14, forecast.length || !named ? 12 : 108, 0, 0],
      scales: { x: { time: false, range: () => [data[0][0], end] }, y: { range: (_, lo, hi) => [0, Math.max(total, hi) * 1.08 || 1] } },
      axes: [
        { ...axis, size: 28, incrs: [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400], space: 72, values: (_, vs) => vs.map((v) => clock(v, end - data[0][0] > 172800, end - data[0][0] < 400)), grid: { show: false }, ticks: { show: true, stroke: colour("line-strong"), size: 4 } },
        { ...axis, size: 56, values: (_, vs) => vs.map(grouped), label: figure.dataset.unit, labelFont: font, labelSize: 18 },
      ],
      cursor: { y: false, drag: { x: true, y: false }, points: { size: 6 } },
      hooks: {
        draw: [draw],
        setCursor: [(u) => {
          if (!read) return;
          const i = u.cursor.idx;
          read.textContent = i == null || u.cursor.left < 0 ? hint
            : rows[i].cells[0].textContent + "   " + heads.slice(1).map((h, k) => data[k + 1][i] == null ? "" : `${h.textContent} ${grouped(data[k + 1][i])}`).filter(Boolean).join(" · ");
        }],
      },
    }, data, place);
    u.root.setAttribute("aria-hidden", "true"); // the table says the same in words
    return u;
  }
  let made = [];
  function plots() {
    if (!window.uPlot) return;
    made.forEach((u) => u.destroy());
    made = $$("figure.plot").map(plot);
  }
  function replotting() {
    if (!window.uPlot) return;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", plots);
    let width = innerWidth, waiting;
    addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; clearTimeout(waiting); waiting = setTimeout(plots, 120); } });
  }

  /* how old is what you see: live up to 10 s, late from 10 s, away from 60 s, and when the console itself is told nothing; only a
     change of state is spoken */
  let heard = 0;
  function ages(live) {
    const words = live.querySelector("span"), spoken = live.querySelector(".hide");
    let still = "";
    const show = () => {
      if (!heard) return;
      const age = Math.round((Date.now() - heard) / 1000), state = still || age >= 60 ? "away" : age < 10 ? "live" : "stale";
      words.textContent = still ? `Stands still since ${still}` : state === "live" ? `Live, ${age < 6 ? "just now" : age + " s ago"}` : `Last update ${age < 120 ? age + " s" : Math.floor(age / 60) + " min"} ago`;
      if (live.dataset.state !== state) { live.dataset.state = state; spoken.textContent = { live: "Live again", stale: "Updates are late", away: "No updates" }[state]; }
    };
    setInterval(show, 1000);
    return (since) => { heard = Date.now(); still = since || ""; show(); };
  }

  /* an update of a campaign: the text of its numbers, and x and width of its bar's parts; they change in place */
  const FINALS = ["Delivered", "Undelivered", "Failed", "Unsent"], ORDER = [...FINALS, "unknown", "Sent", "Queued"];
  function apply({ id, counts, total, final_count: final, words }) {
    const rows = $$(`[data-campaign="${CSS.escape(id)}"]`);
    for (const row of rows) {
      let x = 0;
      for (const status of ORDER) {
        const n = counts[status] || 0, rect = row.querySelector(`.bar [data-status="${status}"]`), text = row.querySelector(`.key [data-status="${status}"]`);
        const wide = total ? n / total * 1000 : 0;
        if (rect) { rect.setAttribute("x", x); rect.setAttribute("width", wide); }
        if (text) { text.textContent = n.toLocaleString("en-GB"); text.parentElement.hidden = !n; }
        x += wide;
      }
      for (const [name, text] of Object.entries(words)) for (const place of $$(`[data-word="${name}"]`, row)) place.textContent = text;
      const unseen = row.querySelector('[data-word="unseen"]');
      if (unseen) unseen.parentElement.hidden = words.unseen === "0";
      const edge = row.querySelector(".edge");
      if (edge && total) for (const end of ["x1", "x2"]) edge.setAttribute(end, final / total * 1000);
    }
    return rows.length > 0;
  }

  /* what does not change in place is read again: the parts of this page that are marked, each 5 s. Something that began, ended or
     changed as a whole is read soon, and not as another tab was told before it */
  const AGAIN = 5000, SOON = 1000;
  let reading = false, readAt = Date.now(), due = 0, dueAt = 0, mark = "", newer = "";
  async function readAgain() {
    if (reading || document.hidden) return;
    if (new URLSearchParams(location.search).has("show")) return; // each reading would be a look in the log
    reading = true;
    try {
      const headers = { "X-Refresh": newer || "again" };
      newer = "";
      const answer = await fetch(location.href, { headers });
      if (answer.redirected) return location.reload(); // the login has ended: there is the form
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      let plotted = false;
      for (const part of $$("[data-refresh]")) {
        const other = fresh.getElementById(part.id);
        if (!other || other.outerHTML === part.dataset.was) continue;
        part.dataset.was = other.outerHTML;
        if (getSelection().toString() && part.contains(getSelection().anchorNode)) continue;
        plotted ||= part.matches("figure.plot");
        const held = part.contains(document.activeElement) ? document.activeElement : null, open = $$("details", part).map((d) => d.open), at = $$(".scroll", part).map((s) => s.scrollLeft);
        const named = held && ["href", "aria-label"].find((name) => held.getAttribute(name));
        const place = held && (named ? `[${named}="${CSS.escape(held.getAttribute(named))}"]` : held.tagName.toLowerCase());
        for (const { name, value } of other.attributes) part.setAttribute(name, value);
        part.replaceChildren(...other.childNodes);
        $$("details", part).forEach((d, i) => { d.open = !!open[i]; });
        $$(".scroll", part).forEach((s, i) => { s.scrollLeft = at[i] || 0; });
        if (place) part.querySelector(place)?.focus({ preventScroll: true });
      }
      if (plotted) plots();
    } catch { /* the console is away: the age says so */ } finally { reading = false; readAt = Date.now(); }
  }
  function wanted(soon) {
    // each tab waits a little of its own, so that not all ask at once
    const at = Math.max(Date.now() + (soon ? 50 + Math.random() * 150 : 0), readAt + (soon ? SOON : AGAIN));
    if (due && dueAt <= at) return;
    clearTimeout(due);
    dueAt = at;
    due = setTimeout(() => { due = 0; if (soon) newer = mark; readAgain(); }, at - Date.now());
  }

  const CLOSED = 2, RETRY = 2000, SPREAD = 3000;
  function live() {
    const place = document.querySelector(".live[data-events]");
    if (!place || !window.EventSource) return;
    const fresh = ages(place), runs = document.querySelector("[data-runs]");
    const address = place.dataset.events + (place.dataset.events.includes("?") ? "&" : "?") + "after=";
    let source;
    const open = () => {
      source = new EventSource(address + encodeURIComponent(mark || document.body.dataset.after));
      source.addEventListener("message", () => wanted(true));
      source.addEventListener("campaign", (event) => {
        const told = JSON.parse(event.data), shown = apply(told);
        if (runs && shown !== told.running) wanted(!runs.dataset.more); // one that began, or has just ended
        else if (shown) wanted(false);
      });
      for (const kind of ["routes", "alarms"]) source.addEventListener(kind, () => wanted(kind === "alarms"));
      source.addEventListener("now", (event) => { mark = event.lastEventId; fresh(JSON.parse(event.data).still); wanted(false); });
      // a browser comes back by itself, but not after an answer that is no stream: a proxy's 502, too many viewers, a login that ended
      source.addEventListener("error", () => {
        if (source.readyState !== CLOSED) return;
        setTimeout(open, RETRY + Math.random() * SPREAD);
        wanted(false);
      });
    };
    open();
    addEventListener("pagehide", () => source.close());
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  function keys() {
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(input|select|textarea)$/i.test(event.target.tagName)) return;
      const field = $$("input[type=search]").find((f) => f.offsetParent);
      if (field) { event.preventDefault(); field.focus(); }
    });
  }
  function copying() {
    document.addEventListener("click", async (event) => {
      const button = event.target.closest(".command button");
      if (!button) return;
      try { await navigator.clipboard.writeText(button.previousElementSibling.textContent); button.textContent = "Copied"; } catch { button.textContent = "Select it"; getSelection().selectAllChildren(button.previousElementSibling); }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
  document.addEventListener("DOMContentLoaded", () => { plots(); replotting(); live(); keys(); copying(); });
})();
