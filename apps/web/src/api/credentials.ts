import { type MachineId, self } from "./machine.ts";

/** A token that one machine gave to this browser. The PIN is never kept. */
export interface Credential {
	readonly token: string;
	readonly deviceId: string;
	/** What the machine called itself when it gave the token; for the list in Settings. */
	readonly machineName: string;
	readonly savedAt: number;
}

/** The part of `Storage` that the store needs. */
export interface KeyValue {
	getItem(key: string): string | null;
	setItem(key: string, value: string): void;
}

const storageKey = "warren.credentials.v1";

/**
 * Device tokens by machine, kept in this browser. Another tab's change arrives through `reload`. A storage that refuses
 * (private mode, quota) leaves the credentials in memory: signed in until the tab closes.
 */
export class CredentialStore {
	readonly #storage: KeyValue;
	readonly #watchers = new Set<() => void>();
	#byMachine: Readonly<Record<MachineId, Credential>>;

	constructor(storage: KeyValue) {
		this.#storage = storage;
		this.#byMachine = read(storage);
	}

	get(machine: MachineId): Credential | undefined {
		return Object.hasOwn(this.#byMachine, machine) ? this.#byMachine[machine] : undefined;
	}

	all(): readonly (readonly [MachineId, Credential])[] {
		return Object.entries(this.#byMachine);
	}

	put(machine: MachineId, credential: Credential): void {
		this.#byMachine = { ...this.#byMachine, [machine]: credential };
		this.#save();
	}

	/**
	 * Forgets one machine's token, and no other's.
	 * @param token only when this is still the token kept: a late 401 of an old one must not wipe its successor.
	 */
	drop(machine: MachineId, token?: string): void {
		const kept = this.get(machine);
		if (kept === undefined || (token !== undefined && kept.token !== token)) return;
		const { [machine]: _dropped, ...rest } = this.#byMachine;
		this.#byMachine = rest;
		this.#save();
	}

	/** Takes over what another tab wrote. */
	reload(): void {
		this.#byMachine = read(this.#storage);
		this.#changed();
	}

	watch(watcher: () => void): () => void {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	}

	#save(): void {
		try {
			this.#storage.setItem(storageKey, JSON.stringify(this.#byMachine));
		} catch (failure) {
			console.warn("warren: this browser does not keep the sign-in", failure);
		}
		this.#changed();
	}

	#changed(): void {
		for (const watcher of this.#watchers) watcher();
	}
}

function read(storage: KeyValue): Record<MachineId, Credential> {
	try {
		const parsed: unknown = JSON.parse(storage.getItem(storageKey) ?? "{}");
		if (typeof parsed !== "object" || parsed === null) return {};
		return Object.fromEntries(Object.entries(parsed).filter(([, value]) => isCredential(value)));
	} catch {
		// Unreadable or refused: the same as never signed in.
		return {};
	}
}

function isCredential(value: unknown): value is Credential {
	return typeof value === "object" && value !== null && typeof (value as Credential).token === "string";
}

/** Whose credential a 401 is about. */
export function refusedBy(machine: MachineId, header: (name: string) => string | null): { machine: MachineId } {
	// "0" marks a peer's own answer passed on; "1", or no mark at all, is the node that served the page.
	return { machine: machine !== self && header("x-warren-relay") === "0" ? machine : self };
}

/** The same question for a WebSocket's close reason: a relay's own carries `"relay":1`. */
export function refusedByClose(machine: MachineId, reason: string): MachineId {
	if (machine === self) return self;
	return /"relay"\s*:\s*1/.test(reason) ? self : machine;
}

export { storageKey as credentialStorageKey };
