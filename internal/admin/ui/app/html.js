// What every component builds on: Preact's elements written as tagged templates.
import { h } from "../vendor/preact.mjs";
import htm from "../vendor/htm.mjs";

/** @typedef {import("preact").ComponentChildren} Children */

/** Makes elements: html`<p class=${c}>${text}</p>`. Values become text nodes or properties, never markup. */
export const html = htm.bind(h);
