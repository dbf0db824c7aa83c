// The console: which session is open, what the person does with it.

import { call, onKeyNeeded, request, sessionPath } from "./api.js";
import { $, alertError, clearAlerts, el } from "./dom.js";
import { FamilyQuestions } from "./family.js";
import { amounts } from "./questions.js";
import { McpServers } from "./servers.js";
import { SessionList, chipOf } from "./sessions.js";
import { follow } from "./sse.js";
import { Transcript } from "./transcript.js";

const TAIL = 400; // Records read when a session is opened; the rest is one click away.
const OTHER = "other";
const APPROVAL_MS = 600_000; // Ten minutes to decide, for a person who looks on.

let open = null; // {id, abort, info}

async function decide(actionId, resolution, digest, content) {
  const path = sessionPath(open.id, `/actions/${encodeURIComponent(actionId)}`);
  await call(path, { method: "POST", body: { resolution, args_digest: digest, content } });
  refreshFamily();
  $("composer-text").focus();
}

async function readArtifact(artifactId) {
  return (await request(sessionPath(open.id, `/artifacts/${encodeURIComponent(artifactId)}`))).text();
}

const transcript = new Transcript($("items"), $("transcript"), {
  onDecide: decide,
  readArtifact,
  onActivity: () => soon(refreshInfo),
});

const family = new FamilyQuestions($("family"), decide);

new McpServers(() => open?.id ?? null);

function refreshFamily() {
  const mine = open;
  if (mine) family.refresh(mine.id, () => open === mine).catch(() => {}); // The list says when nobody answers.
}

const list = new SessionList({
  onOpen: openSession,
  onFresh: (items) => {
    const mine = open && items.find((info) => info.session_id === open.id);
    if (mine) show(mine);
    refreshFamily();
  },
});

let pending = null;
/** Run once, a little later: many events may ask for it at the same time. */
function soon(work) {
  clearTimeout(pending);
  pending = setTimeout(() => work().catch(alertError), 80);
}

async function refreshInfo() {
  if (!open) return;
  const { id } = open;
  const info = await call(sessionPath(id));
  if (open?.id === id) show(info);
}

function show(info) {
  if (open.info && info.head_seq < open.info.head_seq) return;
  open.info = info;
  list.touch(info);
  const { word, kind } = chipOf(info);
  $("session-title").textContent = info.name || info.session_id;
  const tokens = info.usage.total_tokens;
  const left = info.budget && amounts(info.budget.remaining);
  const facts = [info.name ? info.session_id : null, info.model, tokens ? `${tokens.toLocaleString()} tokens` : null,
    Number(info.cost_usd) ? `$${Number(info.cost_usd).toFixed(4)}` : null, left ? `${left} left` : null];
  $("session-facts").textContent = facts.filter(Boolean).join(" · ");
  $("activity").textContent = word;
  $("activity").className = `chip ${kind}`;
  $("find-name").hidden = Boolean(info.name || info.open_turn || !info.messages || info.state !== "active");
  $("pause").textContent = info.state === "paused" ? "Resume" : "Pause";
  $("pause").hidden = !["active", "paused"].includes(info.state);
  $("interrupt").disabled = !info.open_turn;
}

async function openSession(id, whole = false) {
  open?.abort.abort();
  clearAlerts();
  const mine = { id, abort: new AbortController(), info: null };
  open = mine;
  list.select(id);
  location.hash = encodeURIComponent(id);
  showSidebar(false);
  transcript.reset();
  family.reset();
  $("welcome").hidden = true;
  $("earlier").hidden = true;
  try {
    const info = await call(sessionPath(id));
    if (open !== mine) return;
    show(info);
    refreshFamily();
    $("controls").hidden = false;
    $("composer").hidden = false;
    const after = whole ? 0 : Math.max(0, info.head_seq - TAIL);
    $("earlier").hidden = after === 0;
    $("composer-text").focus();
    await follow(sessionPath(id, "/events/stream"), after, {
      signal: mine.abort.signal,
      onEvent: (event) => { if (open === mine) transcript.apply(event); },
      onLive: (live) => $("transcript").classList.toggle("stale", !live),
    });
  } catch (error) {
    if (open !== mine || mine.abort.signal.aborted) return;
    closeSession();
    alertError(error);
  }
}

function closeSession() {
  open?.abort.abort();
  open = null;
  list.select(null);
  transcript.reset();
  family.reset();
  history.replaceState(null, "", location.pathname);
  $("session-title").textContent = "Welcome";
  $("session-facts").textContent = "";
  for (const id of ["controls", "composer", "earlier"]) $(id).hidden = true;
  $("welcome").hidden = false;
}

async function command(name) {
  clearAlerts();
  try {
    await call(sessionPath(open.id, `/${name}`), { method: "POST" });
    await refreshInfo();
  } catch (error) {
    alertError(error);
  }
}

async function send() {
  const box = $("composer-text");
  const prompt = box.value.trim();
  if (!prompt || !open) return;
  clearAlerts();
  $("send").disabled = true;
  try {
    await call(sessionPath(open.id, "/events"), {
      method: "POST", body: { prompt }, headers: { "Idempotency-Key": newKey() },
    });
    box.value = "";
    grow();
    $("transcript").scrollTop = $("transcript").scrollHeight;
  } catch (error) {
    alertError(error);
  } finally {
    $("send").disabled = false;
    box.focus();
  }
}

const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function grow() {
  const box = $("composer-text");
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, 220)}px`;
}

function showSidebar(shown) {
  document.body.classList.toggle("sidebar-open", shown);
  $("toggle-sidebar").setAttribute("aria-expanded", String(shown));
}

// --- dialogs -------------------------------------------------------------------------------------------------------

async function openCreateDialog() {
  $("create-error").textContent = "";
  $("create-id").value = "";
  try {
    const models = (await call("/v1/models")).items;
    const options = models.map((model) => option(model.name, model.ready ? model.name : `${model.name} (no key)`, model.default));
    $("create-model").replaceChildren(...options, option(OTHER, "Another model", models.length === 0));
  } catch (error) {
    alertError(error);
    return;
  }
  showOther();
  $("create-dialog").showModal();
}

function option(value, text, selected) {
  const node = el("option", "", text);
  node.value = value;
  node.selected = selected;
  return node;
}

function showOther() {
  const other = $("create-model").value === OTHER;
  $("create-model-other").hidden = !other;
  $("create-model-other-label").hidden = !other;
  $("create-model-other").required = other;
}

async function create(event) {
  event.preventDefault();
  const chosen = $("create-model").value;
  const model = chosen === OTHER ? $("create-model-other").value.trim() : chosen;
  const config = { model, confirmation_policy: { default_timeout_ms: APPROVAL_MS } };
  if (new FormData($("create-form")).get("tools") === "allow") config.permission_policy = { default_decision: "allow" };
  const body = { config };
  const id = $("create-id").value.trim();
  if (id) body.session_id = id;
  try {
    const info = await call("/v1/sessions", { method: "POST", body, headers: { "Idempotency-Key": newKey() } });
    $("create-dialog").close();
    list.refresh();
    openSession(info.session_id);
  } catch (error) {
    $("create-error").textContent = error.message;
  }
}

function askForKey(refused) {
  $("key-error").textContent = refused ? "This key was refused." : "";
  $("key-input").value = "";
  $("key-dialog").showModal();
  return new Promise((resolve) => {
    $("key-form").addEventListener("submit", () => resolve($("key-input").value.trim()), { once: true });
  });
}

// --- wiring --------------------------------------------------------------------------------------------------------

onKeyNeeded(askForKey);
$("key-dialog").addEventListener("cancel", (event) => event.preventDefault());
$("new-session").addEventListener("click", openCreateDialog);
$("create-cancel").addEventListener("click", () => $("create-dialog").close());
$("create-form").addEventListener("submit", create);
$("create-model").addEventListener("change", showOther);
$("toggle-sidebar").addEventListener("click", () => showSidebar(!document.body.classList.contains("sidebar-open")));
$("main").addEventListener("click", (event) => { if (event.target.id !== "toggle-sidebar") showSidebar(false); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") showSidebar(false); });
$("pause").addEventListener("click", () => command(open.info.state === "paused" ? "resume" : "pause"));
$("find-name").addEventListener("click", () => { $("find-name").hidden = true; command("title"); });
$("interrupt").addEventListener("click", () => command("interrupt"));
$("earlier").addEventListener("click", () => openSession(open.id, true));
$("composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("composer-text").addEventListener("input", grow);
$("composer-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});
window.addEventListener("hashchange", () => {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id && id !== open?.id) openSession(id);
});

list.refresh();
if (location.hash.length > 1) openSession(decodeURIComponent(location.hash.slice(1)));
