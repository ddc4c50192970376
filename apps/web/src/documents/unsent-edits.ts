/** What `localStorage` is, as far as this needs it. */
type Kept = Pick<Storage, "getItem" | "setItem" | "removeItem">;

const storageKey = (userId: string) => `warren.documents.unsent.v1.${userId}`;

/** Which documents have edits in this browser that the hub has not said to be on its disk: by account, over reloads. */
export class UnsentEdits {
	readonly #storage: Kept;

	constructor(storage: Kept) {
		this.#storage = storage;
	}

	list(userId: string): readonly string[] {
		try {
			const parsed: unknown = JSON.parse(this.#storage.getItem(storageKey(userId)) ?? "[]");
			return Array.isArray(parsed) ? parsed.filter((each) => typeof each === "string") : [];
		} catch {
			// Unreadable or refused: what was written is handed over when it is opened next.
			return [];
		}
	}

	add(userId: string, id: string): void {
		const listed = this.list(userId);
		if (!listed.includes(id)) this.#keep(userId, [...listed, id]);
	}

	remove(userId: string, id: string): void {
		const listed = this.list(userId);
		if (listed.includes(id))
			this.#keep(
				userId,
				listed.filter((each) => each !== id),
			);
	}

	forget(userId: string): void {
		this.#storage.removeItem(storageKey(userId));
	}

	#keep(userId: string, ids: readonly string[]): void {
		try {
			if (ids.length === 0) this.forget(userId);
			else this.#storage.setItem(storageKey(userId), JSON.stringify(ids));
		} catch (failure) {
			console.warn("warren: this browser does not keep which documents wait for the hub", failure);
		}
	}
}
