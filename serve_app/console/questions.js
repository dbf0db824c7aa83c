// What a session asks of a person, and the buttons that answer it.

import { button, el } from "./dom.js";
import { formOf } from "./forms.js";

const CHOICES = {
  approval: [["approve", "Approve", "primary"], ["reject", "Reject", "danger"]],
  in_doubt: [["retry", "Run it again", ""], ["skip", "Leave it", ""]],
  workspace_lost: [["approve", "Go on elsewhere", ""], ["reject", "Let it fail", "danger"]],
  budget: [["approve", "Grant more", ""], ["reject", "Let it fail", "danger"]],
  credential: [["retry", "Try again", ""], ["reject", "Let it fail", "danger"]],
  injection: [["mark", "Show it marked", ""], ["approve", "Show it as it is", ""], ["reject", "Withhold it", "danger"]],
  input: [["accept", "Accept", "primary"], ["decline", "Decline", "danger"], ["cancel", "Cancel", ""]],
};

const QUESTIONS = {
  approval: (tool) => `May ${tool} run?`,
  in_doubt: (tool) => `${tool} may or may not have run. What now?`,
  workspace_lost: (tool) => `The node with the files that ${tool} needs is gone. Go on without them?`,
  budget: (_, args) => (args.unpriced
    ? `Nobody knows what ${args.unpriced} costs. Go on without counting it in money?`
    : `The budget is used up. Grant ${amounts(args)} more?`),
  input: (tool, args) => (args.sampling
    ? `${tool} wants an answer of the model, ${args.sampling.max_tokens.toLocaleString()} tokens at most. May it have one?`
    : `${tool} asks: ${args.message}`),
  injection: (tool) => `What ${tool} gave reads like orders to the model. May it read that?`,
  credential: () => "The turn waits for the key of its model, and goes on by itself once that is given.",
};

const UNITS = {
  tokens: ["token", "tokens"],
  usd: ["US dollar", "US dollars"],
  tool_calls: ["tool call", "tool calls"],
  wall_s: ["second of work", "seconds of work"],
};

/** A budget, or what is left of one, for people: "1,000 tokens, 5 tool calls"; empty when it bounds nothing. */
export function amounts(budget) {
  const bounded = Object.entries(UNITS).filter(([name]) => budget[name] !== null && budget[name] !== undefined);
  return bounded.map(([name, [one, many]]) => {
    const amount = Number(budget[name]);
    return `${amount.toLocaleString(undefined, { maximumFractionDigits: 4 })} ${amount === 1 ? one : many}`;
  }).join(", ");
}

/** Whether a person can answer it here. */
export const answerable = (kind) => kind in CHOICES;

/** A page that somebody wants visited; its address is shown as it is, and can be followed when it is one of the web. */
export function page(url) {
  if (!/^https?:\/\//i.test(url)) return el("span", "", url);
  const link = el("a", "", url);
  link.href = url;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}

/** What a tool's server wants a model to answer. */
function conversation({ system, messages }) {
  const said = messages.map(({ role, content }) => `[${role}] ${content.map(({ text }) => text).join("\n")}`);
  return el("pre", "output", [...(system ? [`[system] ${system}`] : []), ...said].join("\n"));
}

/** The question with its buttons. onDecide(action_id, resolution, digest, content) -> Promise; until: a Date or null. */
export function questionBox(action, until, onDecide) {
  const error = el("p", "error-text");
  error.setAttribute("role", "alert");
  const row = el("div", "action-buttons");
  const form = action.kind === "input" && action.args.form ? formOf(action.args.form) : null;
  const decide = async (resolution) => {
    for (const each of row.children) each.disabled = true;
    error.textContent = "";
    try {
      const content = form && resolution === "accept" ? form.read() : undefined;
      await onDecide(action.action_id, resolution, action.args_digest, content);
    } catch (problem) {
      error.textContent = problem.message;
      for (const each of row.children) each.disabled = false;
    }
  };
  for (const [resolution, label, className] of CHOICES[action.kind] ?? []) {
    row.append(button(label, className, () => decide(resolution)));
  }
  return el("div", "decision",
    el("p", "question", QUESTIONS[action.kind]?.(action.tool, action.args) ?? "A decision is needed."),
    action.detail && action.kind !== "input" ? el("p", "quiet", action.detail) : null,
    action.kind === "injection" ? el("pre", "output", action.args.result) : null,
    action.kind === "input" && action.args.sampling ? conversation(action.args.sampling) : null,
    action.kind === "input" && action.args.url ? page(action.args.url) : null, form?.node, row, error,
    until ? el("p", "quiet deadline", `Waits until ${moment(until)}.`) : null);
}

/** A time of today, or with its day. */
function moment(date) {
  return date.toDateString() === new Date().toDateString() ? date.toLocaleTimeString() : date.toLocaleString();
}
