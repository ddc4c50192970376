import type { KeyValue } from "./credentials.ts";

/** A person's sign-in at the hub, as this browser keeps it: a session token that the device list can revoke. */
export interface Account {
	readonly token: string;
	/** The session's own identifier, as in the device list. */
	readonly deviceId: string;
	readonly userId: string;
	/** As of the sign-in; what to show while the hub is away. */
	readonly name: string;
	readonly email: string;
	readonly savedAt: number;
}

export const accountStorageKey = "warren.account.v1";

/** The one account of this browser. A storage that refuses leaves it in memory: signed in until the tab closes. */
export class AccountStore {
	readonly #storage: KeyValue;
	readonly #watchers = new Set<() => void>();
	#account: Account | undefined;

	constructor(storage: KeyValue) {
		this.#storage = storage;
		this.#account = read(storage);
	}

	get(): Account | undefined {
		return this.#account;
	}

	put(account: Account): void {
		this.#account = account;
		this.#save();
	}

	/** @param token only when this is still the one kept: a late 401 of an old one must not sign its successor out. */
	drop(token?: string): void {
		if (this.#account === undefined || (token !== undefined && this.#account.token !== token)) return;
		this.#account = undefined;
		this.#save();
	}

	/** Takes over what another tab wrote. */
	reload(): void {
		this.#account = read(this.#storage);
		this.#changed();
	}

	watch(watcher: () => void): () => void {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	}

	#save(): void {
		try {
			this.#storage.setItem(accountStorageKey, JSON.stringify(this.#account ?? null));
		} catch (failure) {
			console.warn("warren: this browser does not keep the account's sign-in", failure);
		}
		this.#changed();
	}

	#changed(): void {
		for (const watcher of this.#watchers) watcher();
	}
}

function read(storage: KeyValue): Account | undefined {
	try {
		const parsed: unknown = JSON.parse(storage.getItem(accountStorageKey) ?? "null");
		return isAccount(parsed) ? parsed : undefined;
	} catch {
		// Unreadable or refused: the same as never signed in.
		return undefined;
	}
}

function isAccount(value: unknown): value is Account {
	if (typeof value !== "object" || value === null) return false;
	const { token, userId, deviceId } = value as Account;
	return typeof token === "string" && typeof userId === "string" && typeof deviceId === "string";
}
