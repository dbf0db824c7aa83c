// Forms that tools ask people to fill: flat JSON Schemas of texts, numbers, yes or no, and choices.

import { el } from "./dom.js";

const INPUTS = { number: "number", integer: "number", boolean: "checkbox" };
const FORMATS = { email: "email", uri: "url", date: "date" };

/** A form for a schema: {node, read()}; read gives the content, without what was left empty. */
export function formOf(schema) {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, field]) => fieldOf(name, field, required.has(name)));
  return {
    node: el("div", "form", ...fields.map((field) => field.node)),
    read: () => Object.fromEntries(fields.map((field) => [field.name, field.value()]).filter(([, value]) => value !== undefined)),
  };
}

function fieldOf(name, field, required) {
  const { node, value } = field.type === "array" ? several(field) : choices(field) ? oneOf(field) : plain(field);
  const label = el("label", "", el("span", "", (field.title ?? name) + (required ? " *" : "")), node);
  if (field.description) label.append(el("span", "quiet", field.description));
  return { name, node: label, value };
}

/** What may be chosen, as [value, title] pairs; null when anything may be said. */
function choices(field) {
  if (field.enum) return field.enum.map((value, nth) => [value, field.enumNames?.[nth] ?? value]);
  const titled = field.oneOf ?? field.anyOf;
  return titled ? titled.map((one) => [one.const, one.title ?? one.const]) : null;
}

function plain(field) {
  const node = el("input");
  node.type = INPUTS[field.type] ?? FORMATS[field.format] ?? "text";
  if (field.type === "number") node.step = "any";
  if (field.type === "boolean") {
    node.checked = field.default === true;
    return { node, value: () => node.checked };
  }
  node.value = field.default ?? "";
  const number = field.type !== "string";
  return { node, value: () => (node.value === "" ? undefined : number ? Number(node.value) : node.value) };
}

function oneOf(field) {
  const node = options([["", ""], ...choices(field)]);
  node.value = field.default ?? "";
  return { node, value: () => node.value || undefined };
}

function several(field) {
  const node = options(choices(field.items ?? {}) ?? []);
  node.multiple = true;
  for (const option of node.options) option.selected = (field.default ?? []).includes(option.value);
  return { node, value: () => [...node.selectedOptions].map((option) => option.value) };
}

function options(pairs) {
  return el("select", "", ...pairs.map(([value, title]) => {
    const option = el("option", "", title);
    option.value = value;
    return option;
  }));
}
