// Dialogs: one at a time, over the page, closed by Escape. Built on <dialog>, which keeps the focus inside.
import { useEffect, useRef, useState } from "../vendor/hooks.mjs";
import { html } from "./html.js";
import { Store, useStore } from "./store.js";
import { toast } from "./toast.js";

/** @typedef {import("./html.js").Children} Children */

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} [value] to begin with
 * @property {string} [hint]
 * @property {"text" | "number" | "textarea" | "datetime-local" | "password"} [type]
 * @property {boolean} [optional]
 * @property {string} [pattern]
 */

/**
 * A question. With `retype`, the answer counts only if that text is typed: for what cannot be undone.
 * @typedef {object} Question
 * @property {string} title
 * @property {Children} [text]
 * @property {Field[]} [fields]
 * @property {string} [retype]
 * @property {string} does the word on the button
 * @property {boolean} [destroys] draws the button as dangerous
 * @property {(values: Record<string, string>) => Promise<string | void>} run does it; the text it returns is shown as done
 */

/** @type {Store<{question?: Question, content?: () => Children} | null>} */
const open = new Store(/** @type {{question?: Question, content?: () => Children} | null} */ (null));

/**
 * Asks, and runs the question's action if the answer is yes. A failure is shown in the dialog, which stays.
 * @param {Question} question
 */
export function ask(question) {
	open.set({ question });
}

/**
 * Shows something with a button that closes it.
 * @param {() => Children} content
 */
export function show(content) {
	open.set({ content });
}

function closeDialog() {
	open.set(null);
}

/** The dialog that is open, if any. */
export function Dialogs() {
	const current = useStore(open);
	const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
	useEffect(() => {
		const before = /** @type {HTMLElement | null} */ (document.activeElement);
		const dialog = ref.current;
		if (!dialog) return;
		dialog.showModal();
		/** @type {HTMLElement | null} */ (dialog.querySelector("[data-focus]"))?.focus();
		return () => {
			dialog.close();
			if (before?.isConnected) before.focus();
		};
	}, [current]);
	if (!current) return null;
	/** @param {MouseEvent} event */
	const outside = (event) => {
		if (event.target === ref.current) closeDialog();
	};
	return html`<dialog ref=${ref} onClose=${closeDialog} onMouseDown=${outside} aria-labelledby="dialog-title">
		${current.question ? html`<${Ask} question=${current.question} />` : null}
		${current.content ? html`<div class="dialog-body">
			${current.content()}
			<div class="dialog-buttons"><button class="button" data-focus onClick=${closeDialog}>Close</button></div>
		</div>` : null}
	</dialog>`;
}

/** @param {{question: Question}} props */
function Ask({ question }) {
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState("");
	const [typed, setTyped] = useState("");
	const blocked = busy || (question.retype !== undefined && typed !== question.retype);
	/** @param {SubmitEvent} event */
	const submit = async (event) => {
		event.preventDefault();
		if (blocked) return;
		const form = /** @type {HTMLFormElement} */ (event.currentTarget);
		/** @type {Record<string, string>} */
		const values = {};
		for (const [name, value] of new FormData(form)) values[name] = String(value);
		setBusy(true);
		setError("");
		try {
			const done = await question.run(values);
			closeDialog();
			if (done) toast(done);
		} catch (err) {
			setError(err instanceof Error ? err.message : String(err));
			setBusy(false);
		}
	};
	return html`<form class="dialog-body" method="dialog" onSubmit=${submit}>
		<h2 id="dialog-title">${question.title}</h2>
		${question.text ? html`<div class="dialog-text">${question.text}</div>` : null}
		${(question.fields ?? []).map((field, i) => html`<${FieldRow} key=${field.name} field=${field} first=${i === 0} />`)}
		${question.retype !== undefined ? html`<label class="field">
			<span>Type <b class="mono">${question.retype}</b> to confirm</span>
			<input name="retype" autocomplete="off" spellcheck=${false} data-focus value=${typed}
				onInput=${(/** @type {InputEvent} */ e) => setTyped(/** @type {HTMLInputElement} */ (e.target).value)} />
		</label>` : null}
		${error ? html`<p class="notice bad" role="alert">${error}</p>` : null}
		<div class="dialog-buttons">
			<button type="button" class="button" onClick=${closeDialog}>Cancel</button>
			<button type="submit" class=${`button ${question.destroys ? "danger" : "primary"}`} disabled=${blocked}
				data-focus=${!question.fields && question.retype === undefined ? "" : undefined}>${busy ? "Working…" : question.does}</button>
		</div>
	</form>`;
}

/** @param {{field: Field, first: boolean}} props */
function FieldRow({ field, first }) {
	const [value, setValue] = useState(field.value ?? "");
	const hint = field.hint ? `hint-${field.name}` : undefined; // its element's id
	const attributes = {
		name: field.name, value, required: !field.optional, "data-focus": first ? "" : undefined, autocomplete: "off", spellcheck: false, pattern: field.pattern, "aria-describedby": hint,
		onInput: (/** @type {InputEvent} */ e) => setValue(/** @type {HTMLInputElement} */ (e.target).value),
	};
	return html`<div class="field"><label>
		<span>${field.label}${field.optional ? html` <i class="muted">optional</i>` : null}</span>
		${field.type === "textarea"
			? html`<textarea rows="8" class="mono" ...${attributes}></textarea>`
			: html`<input type=${field.type ?? "text"} min=${field.type === "number" ? 0 : undefined} ...${attributes} />`}
	</label>
		${field.hint ? html`<small class="muted" id=${hint}>${field.hint}</small>` : null}
	</div>`;
}
