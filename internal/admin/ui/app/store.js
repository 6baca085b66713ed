// A value that components watch.
import { useEffect, useState } from "../vendor/hooks.mjs";

/**
 * A value with watchers, told in turn after each change.
 * @template T
 */
export class Store {
	/** @param {T} value */
	constructor(value) {
		this.value = value;
		/** @type {Set<(value: T) => void>} */
		this.watchers = new Set();
	}

	/** @param {T} value */
	set(value) {
		if (Object.is(value, this.value)) return;
		this.value = value;
		for (const watcher of [...this.watchers]) watcher(value);
	}

	/**
	 * Calls watcher after each change until the returned function is called.
	 * @param {(value: T) => void} watcher
	 */
	watch(watcher) {
		this.watchers.add(watcher);
		return () => {
			this.watchers.delete(watcher);
		};
	}
}

/**
 * The value of a store, in a component that is drawn again when it changes.
 * @template T
 * @param {Store<T>} store
 * @returns {T}
 */
export function useStore(store) {
	const [, redraw] = useState({});
	useEffect(() => {
		redraw({}); // it may have changed since the component was drawn
		return store.watch(() => redraw({}));
	}, [store]);
	return store.value;
}
