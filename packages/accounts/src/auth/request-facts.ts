import { AsyncLocalStorage } from "node:async_hooks";

/** What the library's hooks must know of the HTTP request that they run for, beside what it tells them. */
export interface RequestFacts {
	readonly remoteAddress: string;
	/** The one-time setup secret that came with it, or null. */
	readonly setupSecret: string | null;
	/** How the new session shall be called. */
	readonly deviceName: string;
	/** Role of the account that this request may make; set by the admission. */
	role: string | null;
	/** The invitation that waits for whoever comes by way of another service; and whether it made an account. */
	invited: { readonly email: string; readonly role: string } | null;
	admitted: boolean;
	/** Gives back what the admission used up; run when no account came of it. */
	undo: (() => Promise<void>) | null;
	/** What broke first, in the tables or around them; null = nothing. */
	fault: unknown;
}

export const requestFacts = new AsyncLocalStorage<RequestFacts>();

/** Keeps a fault for whoever answers the request that runs. */
export function noteFault(fault: unknown): void {
	const facts = requestFacts.getStore();
	if (facts !== undefined) facts.fault ??= fault;
}
