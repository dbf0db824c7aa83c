// What the sessions below the open one wait for: their questions, answered without opening them.

import { call, sessionPath } from "./api.js";
import { details, el, pretty } from "./dom.js";
import { answerable, questionBox } from "./questions.js";

const SHOWN = 20; // Questions on the page at a time; the next ones follow as these are answered.

export class FamilyQuestions {
  /** onDecide as in questionBox. */
  constructor(list, onDecide) {
    this.list = list;
    this.onDecide = onDecide;
    this.cards = new Map();
  }

  reset() {
    this.cards.clear();
    this.list.replaceChildren();
    this.list.hidden = true;
  }

  /** Read what is open below a session; what stands there already stays as it is. */
  async refresh(id, stillOpen) {
    const page = await call(sessionPath(id, `/actions?limit=${SHOWN}`));
    if (!stillOpen()) return;
    const cards = new Map();
    for (const action of page.items) {
      if (action.session_id === id || !answerable(action.kind)) continue;
      cards.set(action.action_id, this.cards.get(action.action_id) ?? this.card(action));
    }
    const same = cards.size === this.cards.size && [...cards.keys()].every((each) => this.cards.has(each));
    this.cards = cards;
    if (!same) this.list.replaceChildren(...cards.values());
    this.list.hidden = cards.size === 0;
  }

  card(action) {
    const who = el("a", "who", action.session_id);
    who.href = `#${encodeURIComponent(action.session_id)}`;
    const until = action.expires_at ? new Date(action.expires_at) : null;
    const about = action.tool
      ? [el("code", "", action.tool), details("Arguments", el("pre", "", pretty(action.args)), true)] : [];
    return el("li", "item tool asking", who, ...about, questionBox(action, until, this.onDecide));
  }
}
