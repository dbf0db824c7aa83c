// MCP servers: how they stand, what they offer, adding and removing. Secrets go out once and never come back.

import { call } from "./api.js";
import { $, button, details, el } from "./dom.js";
import { page } from "./questions.js";

const REFRESH_MS = 2500;

const WORDS = {
  connecting: ["connecting", "queued"],
  connected: ["connected", "idle"],
  reconnecting: ["not connected", "failed"],
  needs_authorization: ["needs your consent", "requires_action"],
  needs_secrets: ["needs its secrets again", "requires_action"],
  disabled: ["disabled", "idle"],
};

const PROGRAM = "stdio";

export class McpServers {
  /** openSession() gives the id of the session that is looked at, or null. */
  constructor(openSession) {
    this.openSession = openSession;
    this.timer = null;
    this.cards = new Map();
    $("show-servers").addEventListener("click", () => this.show());
    $("servers-close").addEventListener("click", () => $("servers-dialog").close());
    $("servers-dialog").addEventListener("close", () => { clearTimeout(this.timer); this.clear(); });
    $("server-kind").addEventListener("change", () => this.fit());
    $("server-form").addEventListener("submit", (event) => { event.preventDefault(); this.add(); });
  }

  show() {
    this.session = this.openSession();
    $("server-private-choice").hidden = this.session === null;
    this.fit();
    $("servers-dialog").showModal();
    return this.refresh();
  }

  /** The fields that belong to the chosen way to the server. */
  fit() {
    const program = $("server-kind").value === PROGRAM;
    for (const [id, shown] of [["server-program-fields", program], ["server-url-fields", !program]]) $(id).hidden = !shown;
    $("server-command").required = program;
    $("server-url").required = !program;
  }

  async refresh() {
    clearTimeout(this.timer);
    try {
      const [servers, tools] = await Promise.all([call(this.path()), call("/v1/tools")]);
      this.render(servers.items, tools.items);
      $("servers-error").textContent = "";
    } catch (error) {
      $("servers-error").textContent = error.message;
    }
    clearTimeout(this.timer);
    if ($("servers-dialog").open) this.timer = setTimeout(() => this.refresh(), REFRESH_MS);
  }

  path(name = "", session = this.session) {
    const query = session === null ? "" : `?session_id=${encodeURIComponent(session)}`;
    return `/v1/mcp-servers${name && `/${encodeURIComponent(name)}`}${query}`;
  }

  render(servers, tools) {
    $("no-servers").hidden = servers.length > 0;
    const cards = servers.map((server) => {
      const mine = tools.filter((tool) => tool.name.startsWith(`mcp__${server.name}__`));
      const known = JSON.stringify([server, mine.map((tool) => tool.name)]);
      const before = this.cards.get(server.name);
      // What stands there stays as it is: somebody may be reading its tools.
      return [server.name, before?.known === known ? before : { known, node: this.card(server, mine) }];
    });
    this.cards = new Map(cards);
    $("servers").replaceChildren(...cards.map(([, card]) => card.node));
  }

  card(server, tools) {
    const [word, kind] = WORDS[server.state] ?? [server.state, ""];
    const count = `${server.tool_count} ${server.tool_count === 1 ? "tool" : "tools"}`;
    const facts = [server.where, count, server.tools_left_out ? `${server.tools_left_out} left out` : null,
      server.server, server.protocol, server.session_id ? `only for ${server.session_id}` : null];
    const remove = button("Remove", "danger", () => this.remove(server, remove));
    const head = el("div", "tool-head", el("strong", "", server.name), el("span", `chip ${kind}`, word));
    const consent = server.authorization_url ? el("p", "", "Agree at ", page(server.authorization_url)) : null;
    const listed = tools.map((tool) => el("li", "", el("code", "", tool.name), " ", tool.description.split("\n")[0]));
    return el("li", "tool", head, el("p", "quiet", facts.filter(Boolean).join(" · ")),
      server.error ? el("p", "error-text", server.error) : null, consent,
      tools.length ? details("Tools", el("ul", "server-tools", ...listed)) : null,
      el("div", "action-buttons", remove));
  }

  async remove(server, asking) {
    if (!asking.dataset.sure) {
      asking.dataset.sure = "yes";
      asking.textContent = "Really remove?";
      return;
    }
    asking.disabled = true;
    try {
      await call(this.path(server.name, server.session_id), { method: "DELETE" });
    } catch (error) {
      $("servers-error").textContent = error.message;
    }
    await this.refresh();
  }

  async add() {
    $("server-error").textContent = "";
    $("server-add").disabled = true;
    try {
      const mine = this.session !== null && $("server-private").checked ? this.session : null;
      await call(this.path("", mine), { method: "POST", body: described() });
      this.clear();
      $("add-server").open = false;
    } catch (error) {
      $("server-error").textContent = error.message;
    }
    $("server-add").disabled = false;
    await this.refresh();
  }

  clear() {
    $("server-form").reset();
    $("server-error").textContent = "";
    this.fit();
  }
}

/** What the form says, as the service takes it. */
function described() {
  const kind = $("server-kind").value;
  const body = { name: $("server-name").value.trim(), transport: kind, trust_annotations: $("server-trust").checked };
  if (kind === PROGRAM) {
    body.command = $("server-command").value.trim();
    body.args = lines("server-args");
    body.env = pairs("server-env", "=");
  } else {
    body.url = $("server-url").value.trim();
    body.headers = pairs("server-headers", ":");
  }
  return body;
}

const lines = (id) => $(id).value.split("\n").map((line) => line.trim()).filter(Boolean);

/** Lines of a name, a divider and a value; one without a divider has no value, and the service says what it thinks of it. */
function pairs(id, divider) {
  return Object.fromEntries(lines(id).map((line) => {
    const at = line.indexOf(divider);
    return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  }));
}
