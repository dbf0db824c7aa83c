// The transcript: a fold over a session's events into elements of the page.

import { alertError, button, details, el, pretty } from "./dom.js";
import { questionBox } from "./questions.js";

const DECIDED = {
  approve: "Approved", reject: "Rejected", retry: "Run again", skip: "Left", answer: "Answered", mark: "Shown marked", cancelled: "Cancelled",
};

const outcomeOf = ({ outcome, exit_code: code }) => (outcome !== "ok" ? outcome : code ? `exit ${code}` : "done");

function notedText({ source, withheld, orders, treated }) {
  const done = Object.entries(withheld).map(([label, count]) => `${count} \u00d7 ${label} withheld`);
  const how = { note: "marked", ask: "asked about", block: "not shown to the model" };
  if (orders.length) done.push(`orders to the model (${orders.join(", ")}) ${how[treated]}`);
  return `Security: ${done.join(", ")} in ${source === "input" ? "what came in" : `the ${source}`}.`;
}

function compactedText(data) {
  const done = [];
  if (data.removed_messages) done.push(`${data.removed_messages} messages ${data.summary ? "were summed up" : "went"}`);
  if (data.pruned.length) done.push(`${data.pruned.length} old tool outputs went`);
  return `${done.join(", ")}: about ${data.before_tokens} tokens became ${data.after_tokens}. The journal keeps all of it.`;
}

function textOf(content) {
  if (typeof content === "string") return content;
  return content.map((part) => {
    switch (part.type) {
      case "text": return part.text;
      case "text_blob": return `[text of ${part.size} bytes, kept in the store]`;
      case "image": return `[image ${part.source.media_type}]`;
      default: return "";
    }
  }).filter(Boolean).join("\n");
}

export class Transcript {
  /**
   * onDecide as in questionBox; readArtifact(artifact_id) -> Promise of its text; onActivity() is
   * called when what the session does changes.
   */
  constructor(list, scroller, { onDecide, readArtifact, onActivity }) {
    this.list = list;
    this.scroller = scroller;
    this.onDecide = onDecide;
    this.readArtifact = readArtifact;
    this.onActivity = onActivity;
    this.reset();
  }

  reset() {
    this.list.replaceChildren();
    this.seq = 0;
    this.answers = new Map();
    this.tools = new Map();
    this.calls = new Map();
    this.actions = new Map();
  }

  /** Take one event; what was seen before changes nothing. */
  apply(event) {
    const stick = this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < 80;
    if (event.type === "message.delta" || event.type === "tool.output.delta") this.delta(event);
    else if (event.type === "session.persistence_failed") this.note("failed", event.error);
    else if (event.seq > this.seq) {
      this.seq = event.seq;
      this.record(event);
    }
    if (stick) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  record(event) {
    const { data } = event;
    switch (event.type) {
      case "user.message": this.message("user", "You", textOf(data.message.content)); break;
      case "message.added": this.message(data.message.role, data.message.role === "user" ? "You" : "Assistant", textOf(data.message.content)); break;
      case "model.call.started": if (!data.summary_of && !data.sampling) this.answerStarted(data); break;
      case "model.call.completed": if (!data.summary_of && !data.sampling) this.answerCompleted(event); break;
      case "model.call.failed": if (this.answers.has(data.call_id)) this.answerFailed(data); break;
      case "tool.call.started": this.toolStarted(event); break;
      case "tool.call.completed": this.toolEnded(event, outcomeOf(data), textOf(data.content)); break;
      case "security.noted": this.note("", notedText(data)); break;
      case "tool.call.denied": this.toolEnded(event, "not run", data.reason); break;
      case "action.requested": this.actionRequested(event); break;
      case "action.resolved": this.actionResolved(data); break;
      case "turn.completed": this.endTurn(); break;
      case "turn.failed": this.endTurn(); this.note("failed", data.message); break;
      case "turn.cancelled": this.endTurn(); this.note("", "Interrupted."); break;
      case "session.paused": this.note("", "Paused."); this.onActivity(); break;
      case "session.resumed": this.note("", "Resumed."); this.onActivity(); break;
      case "session.cleared": this.note("", "The context was cleared. The model does not see what stands above."); break;
      case "session.compacting": this.note("", "Compacting the context\u2026"); break;
      case "session.compacted": this.note("", compactedText(data)); break;
      case "session.compaction_failed": this.note("failed", `The context was not compacted: ${data.message}`); break;
      case "session.renamed": this.note("", `Named "${data.name}".`); this.onActivity(); break;
      case "session.rewound": this.note("", `Rewound to record ${data.to}. The model does not see what stands between.`); break;
      case "session.error": this.note("failed", data.message); this.onActivity(); break;
      case "turn.started": this.onActivity(); break;
      default: break;
    }
  }

  add(node) {
    this.list.append(node);
    return node;
  }

  message(role, who, text) {
    const body = el("div", "text", text);
    this.add(el("li", `item ${role}`, el("span", "who", who), body));
    return body;
  }

  note(kind, text) {
    this.add(el("li", `note ${kind}`, text));
  }

  answer(callId) {
    let answer = this.answers.get(callId);
    if (!answer) {
      const text = el("div", "text");
      const thinking = el("pre", "thinking");
      const thoughts = details("Thinking", thinking);
      thoughts.hidden = true;
      const node = el("li", "item assistant writing", el("span", "who", "Assistant"), thoughts, text);
      answer = { node, text, thinking, thoughts, attempt: 1, next: 0 };
      this.answers.set(callId, answer);
      this.add(node);
    }
    return answer;
  }

  answerStarted(data) {
    const answer = this.answer(data.call_id);
    if (data.attempt > 1) this.restart(answer, data.attempt);
    answer.node.classList.add("writing");
    answer.node.classList.remove("failed");
  }

  restart(answer, attempt) {
    answer.attempt = attempt;
    answer.next = 0;
    answer.text.textContent = "";
    answer.thinking.textContent = "";
  }

  delta(event) {
    if (event.type === "tool.output.delta") {
      this.calls.get(event.call_id)?.stream(event);
      return;
    }
    const answer = this.answers.get(event.call_id);
    if (!answer || !answer.node.classList.contains("writing") || event.attempt !== answer.attempt || event.index < answer.next) return;
    answer.next = event.index + 1;
    if (event.channel === "text") answer.text.textContent += event.text;
    if (event.channel === "thinking") {
      answer.thoughts.hidden = false;
      answer.thinking.textContent += event.text;
    }
  }

  answerCompleted(event) {
    const { data } = event;
    const answer = this.answer(data.call_id);
    answer.node.classList.remove("writing");
    answer.text.textContent = textOf(data.message.content.filter((block) => block.type !== "tool_use"));
    if (data.message.reasoning_content) {
      answer.thoughts.hidden = false;
      answer.thinking.textContent = data.message.reasoning_content;
    }
    const calls = data.message.content.filter((block) => block.type === "tool_use");
    calls.forEach((block, index) => this.tool(event.turn_id, index, block.name, block.input));
    answer.node.hidden = !answer.text.textContent && answer.thoughts.hidden;
  }

  answerFailed(data) {
    const answer = this.answer(data.call_id);
    answer.node.classList.remove("writing");
    answer.node.classList.add("failed");
    if (data.partial) answer.text.textContent = textOf(data.partial.content);
    if (!answer.text.textContent) answer.text.textContent = data.message;
  }

  tool(turnId, index, name, args) {
    const status = el("span", "chip", "waiting");
    const output = el("pre", "output");
    const whole = el("p", "quiet");
    const result = details("Result", el("div", "", whole, output));
    whole.hidden = true;
    result.hidden = true;
    const shownArgs = details("Arguments", el("pre", "", pretty(args)));
    const node = el("li", "item tool", el("div", "tool-head", el("code", "", name), status), shownArgs, result);
    const next = { value: 0 };
    const tool = {
      node, status, output, whole, result, args: shownArgs,
      stream(event) {
        if (event.index < next.value) return;
        next.value = event.index + 1;
        result.hidden = false;
        result.open = true;
        output.textContent += event.text;
      },
    };
    this.tools.set(`${turnId}:${index}`, tool);
    this.add(node);
    return tool;
  }

  toolOf(event) {
    const { index, name } = event.data;
    return this.tools.get(`${event.turn_id}:${index}`) ?? this.tool(event.turn_id, index, name, event.data.args ?? {});
  }

  toolStarted(event) {
    const tool = this.toolOf(event);
    this.setStatus(tool, "running", "running");
    this.calls.set(event.data.call_id, tool);
  }

  toolEnded(event, status, text) {
    const tool = this.toolOf(event);
    this.setStatus(tool, status, status === "done" ? "" : "failed");
    tool.output.textContent = text;
    tool.result.hidden = !text;
    tool.result.open = text.length < 600;
    if (event.data.artifact) this.offerWhole(tool, event.data.artifact);
  }

  /** Of a large result only the beginning and the end are shown, until somebody wants all of it. */
  offerWhole(tool, { artifact_id: id, size, lines }) {
    const show = button(`Show all ${lines} lines`, "link", async () => {
      try {
        tool.output.textContent = await this.readArtifact(id);
        show.remove();
      } catch (error) {
        alertError(error);
      }
    });
    tool.whole.replaceChildren(`${id}, ${size} bytes. `, show);
    tool.whole.hidden = false;
  }

  /** The question stands in the card of the call that it is about; one about no call has a card of its own. */
  actionRequested(event) {
    const { data } = event;
    const until = data.timeout_ms ? new Date(Date.parse(event.at) + data.timeout_ms) : null;
    const box = questionBox(data, until, this.onDecide);
    if (data.index < 0) {
      const node = el("li", "item tool asking", box);
      this.add(node);
      this.actions.set(data.action_id, { node, box });
    } else {
      this.askAbout(event, box);
    }
    this.onActivity();
  }

  askAbout(event, box) {
    const { data } = event;
    const tool = this.tools.get(`${event.turn_id}:${data.index}`) ?? this.tool(event.turn_id, data.index, data.tool, data.args);
    tool.node.append(box);
    tool.node.classList.add("asking");
    tool.args.open = true;
    this.setStatus(tool, "needs you", "requires_action");
    this.actions.set(data.action_id, { tool, node: tool.node, box });
  }

  actionResolved(data) {
    const action = this.actions.get(data.action_id);
    if (action) {
      action.node.classList.remove("asking");
      if (action.tool) {
        action.tool.args.open = false;
        this.setStatus(action.tool, "decided", "");
      }
      action.box.replaceChildren(el("span", "quiet", `${DECIDED[data.resolution] ?? data.resolution} by ${data.by}`));
    }
    this.onActivity();
  }

  setStatus(tool, text, kind) {
    tool.status.textContent = text;
    tool.status.className = `chip ${kind}`;
  }

  endTurn() {
    for (const { node, text } of this.answers.values()) {
      node.classList.remove("writing");
      if (!text.textContent) node.hidden = true;
    }
    this.onActivity();
  }
}
