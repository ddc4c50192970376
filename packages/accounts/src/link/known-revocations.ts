import type { Closeable } from "@warren/kernel";
import { openRevocations, type RevocationList } from "../tickets/revocation-list.ts";
import type { TicketKey } from "../tickets/ticket.ts";

/** Which tickets a joined machine knows to be revoked. */
export class KnownRevocations {
	readonly #keys: readonly TicketKey[];
	readonly #watchers = new Set<(ticketIds: readonly string[]) => void>();
	#list: RevocationList = { seq: 0, tickets: [] };
	#ids: ReadonlySet<string> = new Set();
	#sealed: string | null = null;

	/** @param keys with which the hub signs its lists. */
	constructor(keys: readonly TicketKey[]) {
		this.#keys = keys;
	}

	/** The list that was taken last, as the hub signed it. */
	get sealed(): string | null {
		return this.#sealed;
	}

	has(ticketId: string): boolean {
		return this.#ids.has(ticketId);
	}

	/** @returns false for a list that is not signed by this hub, or is older than the one at hand: it is refused. */
	take(sealed: string, now: number): boolean {
		const list = openRevocations(sealed, this.#keys);
		if (list === null || list.seq < this.#list.seq) return false;
		// What was revoked stays so until it ends by itself, whatever a later list leaves out.
		const tickets = new Map([...this.#list.tickets, ...list.tickets].map((ticket) => [ticket.id, ticket]));
		const standing = [...tickets.values()].filter((ticket) => ticket.exp > now);
		const fresh = standing.map((ticket) => ticket.id).filter((id) => !this.#ids.has(id));
		this.#sealed = sealed;
		this.#list = { seq: list.seq, tickets: standing };
		this.#ids = new Set(standing.map((ticket) => ticket.id));
		if (fresh.length > 0) for (const watcher of this.#watchers) watcher(fresh);
		return true;
	}

	/** Called with all that are known first, then with those that come. */
	watch(watcher: (ticketIds: readonly string[]) => void): Closeable {
		this.#watchers.add(watcher);
		if (this.#ids.size > 0) watcher([...this.#ids]);
		return { close: () => void this.#watchers.delete(watcher) };
	}

	close(): void {
		this.#watchers.clear();
	}
}
