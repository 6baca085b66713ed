// Who the reader is, and what they may do.
import { get, request, setCSRF, whenUnauthorized } from "./api.js";
import { Store, useStore } from "./store.js";

/**
 * As the server tells it (docs/http-api.md, "Login").
 * @typedef {object} Session
 * @property {string} user
 * @property {"admin" | "read" | ""} role
 * @property {{act: boolean, bodies: boolean}} can
 * @property {"none" | "token" | "proxy"} login
 * @property {boolean} logged_in
 * @property {string} [csrf]
 * @property {string} version
 */

/** null until the server has told. */
export const session = new Store(/** @type {Session | null} */ (null));

/** @param {Session} next */
function take(next) {
	setCSRF(next.csrf ?? "");
	session.set(next);
}

/** Asks the server who the reader is. */
export async function checkSession() {
	take(await get("api/v1/session"));
}

/** @param {string} token */
export async function logIn(token) {
	take(await request("POST", "api/v1/login", { token }));
}

export async function logOut() {
	await request("POST", "api/v1/logout").catch(() => {});
	await checkSession();
}

whenUnauthorized(() => {
	checkSession().catch(() => {});
});

/** Whether a login is wanted before anything can be shown. @param {Session} me */
export function mustLogIn(me) {
	return me.login === "token" && !me.logged_in;
}

/** Whether the reader may change things: actions are left out if not. */
export function useMayChange() {
	return useStore(session)?.can.act ?? false;
}

/** Whether the reader may see message bodies. */
export function useMaySeeBodies() {
	return useStore(session)?.can.bodies ?? false;
}
