// The login: a token that the operator has.
import { useEffect, useRef, useState } from "../../vendor/hooks.mjs";
import { html } from "../html.js";
import { staticPath } from "../router.js";
import { logIn } from "../session.js";

export function LoginPage() {
	const [error, setError] = useState("");
	const [busy, setBusy] = useState(false);
	const field = useRef(/** @type {HTMLInputElement | null} */ (null));
	useEffect(() => field.current?.focus(), []);
	/** @param {SubmitEvent} event */
	const submit = async (event) => {
		event.preventDefault();
		const token = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget)).get("token");
		setBusy(true);
		try {
			await logIn(String(token));
		} catch (err) {
			setError(err instanceof Error ? err.message : String(err));
			setBusy(false);
		}
	};
	return html`<main id="main" class="login"><form class="panel dialog-body" onSubmit=${submit}>
		<h1 class="brand" tabindex="-1"><img src=${`${staticPath}favicon.svg`} alt="" width="24" height="24" />Weir</h1>
		<label class="field"><span>Access token</span>
			<input name="token" type="password" autocomplete="current-password" required ref=${field} /></label>
		${error ? html`<p class="notice bad" role="alert">${error}</p>` : null}
		<button class="button primary" disabled=${busy}>Log in</button>
	</form></main>`;
}
