// The list of sessions, kept fresh while the page is looked at.

import { call } from "./api.js";
import { $, button, el } from "./dom.js";

const REFRESH_MS = 2500;
const PAGE = 50;
const SEARCHED = 1000; // The service's largest page: a search looks through the sessions used last.

const ACTIVITY = { idle: "idle", queued: "queued", running: "running", requires_action: "needs you", waiting: "waiting" };

/** The chip of a session: its state when it is not active, else what it does. */
export function chipOf(info) {
  const word = info.state === "active" ? ACTIVITY[info.activity] : info.state;
  const kind = info.state === "active" ? info.activity : info.state;
  return { word, kind };
}

export class SessionList {
  constructor({ onOpen, onFresh }) {
    this.onOpen = onOpen;
    this.onFresh = onFresh;
    this.shown = PAGE;
    this.current = null;
    this.timer = null;
    this.rows = new Map();
    $("filter").addEventListener("input", () => this.refresh());
    $("more-sessions").addEventListener("click", () => { this.shown += PAGE; this.refresh(); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.refresh(); });
  }

  /** Read the list now, and again after a while. */
  async refresh() {
    clearTimeout(this.timer);
    const text = $("filter").value.trim().toLowerCase();
    try {
      const page = await call(`/v1/sessions?limit=${text ? SEARCHED : Math.min(this.shown, SEARCHED)}`);
      const matches = (info) => info.session_id.toLowerCase().includes(text) || info.name.toLowerCase().includes(text);
      this.render(text ? { items: page.items.filter(matches).slice(0, PAGE), next: null } : page);
      this.health(true);
      this.onFresh(page.items);
    } catch (error) {
      this.health(false, error.message);
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { if (!document.hidden) this.refresh(); }, REFRESH_MS);
  }

  health(ok, text = "") {
    const node = $("health");
    node.className = `health ${ok ? "ok" : "bad"}`;
    node.textContent = ok ? "connected" : "not connected";
    node.title = text;
  }

  select(id) {
    this.current = id;
    for (const [each, row] of this.rows) row.button.setAttribute("aria-current", String(each === id));
  }

  render(page) {
    $("no-sessions").hidden = page.items.length > 0;
    $("no-sessions").textContent = $("filter").value.trim() ? "Nothing matches." : "No sessions yet.";
    $("more-sessions").hidden = page.next === null;
    const kept = new Map();
    const nodes = page.items.map((info) => {
      const row = this.rows.get(info.session_id) ?? this.row(info.session_id);
      kept.set(info.session_id, row);
      this.update(row, info);
      return row.node;
    });
    this.rows = kept;
    const list = $("sessions");
    const same = nodes.length === list.children.length && nodes.every((node, index) => node === list.children[index]);
    if (!same) list.replaceChildren(...nodes);
  }

  row(id) {
    const name = el("span", "session-name");
    const chip = el("span", "chip");
    const facts = el("span", "quiet session-facts");
    const open = button("", "session", () => this.onOpen(id));
    open.append(name, chip, facts);
    open.setAttribute("aria-current", String(id === this.current));
    return { node: el("li", "", open), button: open, name, chip, facts };
  }

  /** Show what is newly known of one session without asking for the list. */
  touch(info) {
    const row = this.rows.get(info.session_id);
    if (row) this.update(row, info);
  }

  update(row, info) {
    const { word, kind } = chipOf(info);
    const turns = `${info.turns} ${info.turns === 1 ? "turn" : "turns"}`;
    const texts = [[row.name, info.name || info.session_id], [row.chip, word], [row.facts, `${turns} · ${since(info.updated_at)}`]];
    for (const [node, text] of texts) if (node.textContent !== text) node.textContent = text;
    row.chip.className = `chip ${kind}`;
    row.button.title = info.session_id;
  }
}

function since(moment) {
  const seconds = Math.max(0, (Date.now() - Date.parse(moment)) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(moment).toLocaleDateString();
}
