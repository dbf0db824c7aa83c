// Building elements. Text goes in as textContent only: nothing a model, a tool or a person writes is ever markup.

export const $ = (id) => document.getElementById(id);

/** An element with a class, text and children. */
export function el(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function button(text, className, onClick) {
  const node = el("button", className, text);
  node.type = "button";
  node.addEventListener("click", onClick);
  return node;
}

/** A collapsed part with a summary line. */
export function details(summary, body, open = false) {
  const node = el("details", "", el("summary", "", summary), body);
  node.open = open;
  return node;
}

/** A value as it is read: what turns the order of letters around stands there by its number. People approve what they read. */
export function pretty(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return text?.replace(/[\u202a-\u202e\u2066-\u2069]/g, (one) => `\\u${one.charCodeAt(0).toString(16)}`);
}

/** Show one sentence at the top; an error stays until it is closed. */
export function alertError(error) {
  const box = $("alerts");
  const text = error?.message ?? String(error);
  for (const old of box.children) if (old.dataset.text === text) old.remove();
  const node = el("div", "alert", el("span", "", text));
  node.dataset.text = text;
  const close = button("Dismiss", "link", () => node.remove());
  node.append(close);
  box.append(node);
}

export function clearAlerts() {
  $("alerts").replaceChildren();
}
