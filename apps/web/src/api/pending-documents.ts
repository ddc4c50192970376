import { ApiError } from "./exchange.ts";
import type { DocumentRecord } from "./hub-types.ts";

/** What was made or renamed on this device while the hub could not be told. */
export interface PendingDocument {
	readonly id: string;
	readonly title: string;
	/** Made here; else renamed alone. */
	readonly made: boolean;
	/** Milliseconds since the Unix epoch. */
	readonly at: number;
}

type Ask = (path: string, options: { method: "POST" | "PATCH"; body: unknown }) => Promise<unknown>;

/** More than somebody makes in a day without a hub; above it making one is refused. */
export const maxPendingDocuments = 500;

const storageKey = (userId: string) => `warren.documents.pending.v1.${userId}`;

/** Kept by account, so that a reload without the hub loses nothing. */
export class PendingDocuments {
	readonly #storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
	#settling: Promise<void> | null = null;

	constructor(storage: Pick<Storage, "getItem" | "setItem" | "removeItem">) {
		this.#storage = storage;
	}

	list(userId: string): readonly PendingDocument[] {
		try {
			const parsed: unknown = JSON.parse(this.#storage.getItem(storageKey(userId)) ?? "[]");
			return Array.isArray(parsed) ? parsed.filter(isPending) : [];
		} catch {
			// Unreadable or refused: as if nothing waited.
			return [];
		}
	}

	isMade(userId: string, id: string): boolean {
		return this.list(userId).some((each) => each.id === id && each.made);
	}

	/** @throws DOMException when this browser keeps nothing; Error above `maxPendingDocuments`. */
	put(userId: string, change: PendingDocument): void {
		const before = this.list(userId);
		const standing = before.find((each) => each.id === change.id);
		if (standing === undefined && before.length >= maxPendingDocuments)
			throw new Error(`${maxPendingDocuments} documents wait for the hub already.`);
		const made = change.made || standing?.made === true;
		this.#keep(userId, [...before.filter((each) => each.id !== change.id), { ...change, made }]);
	}

	/** What waits, in the list. */
	applied(userId: string, rooms: readonly DocumentRecord[]): DocumentRecord[] {
		const pending = new Map(this.list(userId).map((each) => [each.id, each]));
		const listed = new Set(rooms.map((each) => each.id));
		const made = [...pending.values()].filter((each) => each.made && !listed.has(each.id));
		return [
			...made.map(({ id, title, at }) => recordOf(userId, id, title, at)),
			...rooms.map((each) => ({ ...each, title: pending.get(each.id)?.title ?? each.title })),
		];
	}

	/** Tells the hub, in order. What it refuses for good is let go. @throws ApiError while it is away: the rest waits on. */
	settle(userId: string, ask: Ask): Promise<void> {
		this.#settling ??= this.#settle(userId, ask).finally(() => {
			this.#settling = null;
		});
		return this.#settling;
	}

	forget(userId: string): void {
		this.#storage.removeItem(storageKey(userId));
	}

	async #settle(userId: string, ask: Ask): Promise<void> {
		for (const each of this.list(userId)) {
			try {
				await tell(each, ask);
			} catch (failure) {
				if (!isRefusal(failure)) throw failure;
			}
			// Renamed again meanwhile: that waits for the next time.
			const left = this.list(userId).flatMap((other) => {
				if (other.id !== each.id) return [other];
				return other.title === each.title ? [] : [{ ...other, made: false }];
			});
			this.#keep(userId, left);
		}
	}

	#keep(userId: string, pending: readonly PendingDocument[]): void {
		if (pending.length === 0) this.forget(userId);
		else this.#storage.setItem(storageKey(userId), JSON.stringify(pending));
	}
}

async function tell({ id, title, made }: PendingDocument, ask: Ask): Promise<void> {
	const rename = () => ask(`/rooms/${encodeURIComponent(id)}`, { method: "PATCH", body: { title } });
	if (!made) return void (await rename());
	try {
		await ask("/rooms", { method: "POST", body: { id, title } });
	} catch (failure) {
		// Its text was there first, or the answer to the last try was lost.
		if (failure instanceof ApiError && failure.status === 409) await rename();
		else throw failure;
	}
}

/** The hub cannot be told now, and may be later. */
export function isAway(failure: unknown): boolean {
	return failure instanceof ApiError && (failure.status === 0 || failure.status >= 502);
}

/** A no that coming back does not change; a session that ended is none. */
function isRefusal(failure: unknown): boolean {
	return failure instanceof ApiError && [400, 403, 404, 409, 422].includes(failure.status);
}

function recordOf(owner: string, id: string, title: string, at: number): DocumentRecord {
	return { id, title, owner, access: "owner", createdAt: at, updatedAt: at };
}

function isPending(value: unknown): value is PendingDocument {
	const { id, title, made, at } = (value ?? {}) as Partial<Record<keyof PendingDocument, unknown>>;
	return typeof id === "string" && typeof title === "string" && typeof made === "boolean" && typeof at === "number";
}
