// Starts the admin page.
import { render } from "../vendor/preact.mjs";
import { html } from "./html.js";

const root = document.getElementById("app");
if (root) render(html`<h1>Weir</h1>`, root);
