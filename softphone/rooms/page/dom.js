// Little helpers for the document. Text of strangers goes through setText() alone.

import { textAt } from "./strings.js";

export function byId(id) {
  return document.getElementById(id);
}

/** Write text, and only if it is another one: assistive technology reads every change. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function show(node, visible) {
  node.toggleAttribute("hidden", !visible); // SVG has no property for it
}

/** Give the fixed parts of the page their texts. */
export function fillStrings(root) {
  for (const node of root.querySelectorAll("[data-text]")) node.textContent = textAt(node.dataset.text);
  for (const node of root.querySelectorAll("[data-label]"))
    node.setAttribute("aria-label", textAt(node.dataset.label));
  for (const node of root.querySelectorAll("[data-placeholder]"))
    node.placeholder = textAt(node.dataset.placeholder);
  for (const template of root.querySelectorAll("template")) fillStrings(template.content);
}

/** A bar of `length` from 0 to 1. */
export function setLevel(meter, length) {
  const percent = 5 * Math.round(20 * length);
  if (meter.dataset.level === String(percent)) return; // drawing takes more than looking
  meter.dataset.level = percent;
  meter.style.setProperty("--level", percent / 100);
  if (meter.hasAttribute("aria-valuenow")) meter.setAttribute("aria-valuenow", percent);
}

/** Show `options` of { id, label } in a select, keeping the nodes when nothing changed. */
export function setOptions(select, options, chosen) {
  const before = [...select.options].map(({ value, text }) => ({ id: value, label: text }));
  if (JSON.stringify(before) !== JSON.stringify(options)) {
    select.replaceChildren(...options.map(({ id, label }) => new Option(label, id)));
  }
  select.value = options.some(({ id }) => id === chosen) ? chosen : (options[0]?.id ?? "");
}
