import { IndexeddbPersistence } from "y-indexeddb";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import type { Account } from "../api/account.ts";
import { localCopyName } from "./local-copy.ts";
import { colourOf, type Present, presentIn } from "./presence.ts";

/**
 * ```
 * connecting ──► live ◄──► away        refused: a 44xx close, which no waiting mends
 *      └─────────────────────┴────────────► refused
 * ```
 */
export type DocumentLink =
	| { readonly kind: "connecting" }
	| { readonly kind: "live" }
	| { readonly kind: "away" }
	| { readonly kind: "refused"; readonly code: number; readonly message: string };

export interface DocumentView {
	readonly link: DocumentLink;
	/** What this device or the hub has of it is here: it may be shown and edited. */
	readonly ready: boolean;
	/** Edits of this device that the hub has not got. */
	readonly waiting: boolean;
	readonly people: readonly Present[];
}

/** The root that the text lives in, as other clients of the same editor call it. */
export const textRoot = "default";

const maxBackoffMs = 5_000;
const openedKey = "opened";

/** One document, open: what this device keeps of it, joined to the hub whenever that is there. */
export class OpenDocument {
	readonly doc = new Y.Doc();
	readonly #local: IndexeddbPersistence;
	readonly #provider: WebsocketProvider;
	readonly #watchers = new Set<() => void>();
	readonly #onWake: () => void;
	#view: DocumentView = { link: { kind: "connecting" }, ready: false, waiting: false, people: [] };

	/**
	 * @param madeHere the hub does not know of it yet: there is nothing to wait for.
	 * @param onSignedOut the session that was offered has ended.
	 */
	constructor(id: string, account: Account, madeHere: boolean, onSignedOut: (token: string) => void) {
		this.#local = new IndexeddbPersistence(localCopyName(account.userId, id), this.doc);
		this.#provider = new WebsocketProvider(
			`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/rooms`,
			`${encodeURIComponent(id)}/sync`,
			this.doc,
			{ protocols: ["warren.v1", `bearer.${account.token}`], maxBackoffTime: maxBackoffMs },
		);
		this.awareness.setLocalStateField("user", {
			id: account.userId,
			name: account.name,
			color: colourOf(account.userId),
		});
		this.#provider.on("status", ({ status }) => {
			if (status === "disconnected") this.#change({ link: { kind: "away" } });
		});
		this.#provider.on("connection-close", (event) => {
			if (this.#view.link.kind === "connecting" && event !== null) this.#change({ link: { kind: "away" } });
		});
		this.#provider.on("sync", (synced) => {
			if (!synced) return;
			void this.#local.set(openedKey, 1);
			this.#change({ link: { kind: "live" }, ready: true, waiting: false });
		});
		this.#provider.on("closed", ({ code, reason }) => {
			if (code === 4401) onSignedOut(account.token);
			this.#change({ link: { kind: "refused", code, message: messageOf(reason) } });
		});
		this.doc.on("update", (_update: Uint8Array, origin: unknown) => {
			if (origin === this.#provider || origin === this.#local || this.#view.link.kind === "live") return;
			if (!this.#view.waiting) this.#change({ waiting: true });
		});
		this.awareness.on("change", () => this.#change({ people: presentIn(this.awareness) }));
		void this.#loadLocal(madeHere);
		// A phone that wakes must not wait for a timer of before.
		this.#onWake = () => {
			if (document.visibilityState !== "visible" || this.#view.link.kind !== "away") return;
			this.#provider.wsUnsuccessfulReconnects = 0;
			this.#provider.connect();
		};
		document.addEventListener("visibilitychange", this.#onWake);
		addEventListener("online", this.#onWake);
	}

	get awareness() {
		return this.#provider.awareness;
	}

	get view(): DocumentView {
		return this.#view;
	}

	watch(watcher: () => void): () => void {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	}

	/** What this device keeps is gone after this; the hub's is not touched. */
	async forget(): Promise<void> {
		this.#provider.destroy();
		await this.#local.clearData();
	}

	close(): void {
		document.removeEventListener("visibilitychange", this.#onWake);
		removeEventListener("online", this.#onWake);
		this.#watchers.clear();
		this.#provider.destroy();
		void this.#local.destroy();
		this.doc.destroy();
	}

	async #loadLocal(madeHere: boolean): Promise<void> {
		await this.#local.whenSynced;
		if (madeHere) await this.#local.set(openedKey, 1);
		const opened = await this.#local.get(openedKey);
		if (opened === 1) this.#change({ ready: true });
	}

	#change(change: Partial<DocumentView>): void {
		this.#view = { ...this.#view, ...change };
		for (const watcher of this.#watchers) watcher();
	}
}

/** A close's reason is JSON `{error, message}`. */
function messageOf(reason: string): string {
	try {
		const parsed: unknown = JSON.parse(reason);
		const { message } = parsed as { message?: unknown };
		return typeof message === "string" ? message : "";
	} catch {
		// Cut off, or another server's words: the code alone tells.
		return "";
	}
}
