import { readVarUint } from "lib0/decoding";
import { IndexeddbPersistence } from "y-indexeddb";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import type { Account } from "../api/account.ts";
import { HandedOver } from "./handed-over.ts";
import { localCopyName } from "./local-copy.ts";
import { colourOf, type Present, presentIn } from "./presence.ts";
import { UnsentEdits } from "./unsent-edits.ts";

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
/** Asks the server to say how many of this socket's updates are on its disk: `100 count`, rule S7 of the protocol. */
const durableSubprotocol = "warren.sync.v1";
const durableMessage = 100;
const unsent = new UnsentEdits(localStorage);

/** One document, open: what this device keeps of it, joined to the hub whenever that is there. */
export class OpenDocument {
	readonly doc = new Y.Doc();
	readonly #local: IndexeddbPersistence;
	readonly #provider: WebsocketProvider;
	readonly #watchers = new Set<() => void>();
	readonly #onWake: () => void;
	readonly #onHide: () => void;
	readonly #handedOver = new HandedOver();
	readonly #id: string;
	readonly #userId: string;
	#localLoaded = false;
	/** Edited here since the hub last had everything. */
	#edited = false;
	#view: DocumentView = { link: { kind: "connecting" }, ready: false, waiting: false, people: [] };

	/**
	 * @param madeHere the hub does not know of it yet: there is nothing to wait for.
	 * @param onSignedOut the session that was offered has ended.
	 */
	constructor(id: string, account: Account, madeHere: boolean, onSignedOut: (token: string) => void) {
		this.#id = id;
		this.#userId = account.userId;
		this.#edited = unsent.list(account.userId).includes(id);
		this.#local = new IndexeddbPersistence(localCopyName(account.userId, id), this.doc);
		this.#provider = new WebsocketProvider(
			`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/rooms`,
			`${encodeURIComponent(id)}/sync`,
			this.doc,
			{ protocols: ["warren.v1", durableSubprotocol, `bearer.${account.token}`], maxBackoffTime: maxBackoffMs },
		);
		this.#provider.messageHandlers[durableMessage] = (_encoder, decoder) => {
			this.#handedOver.acknowledged(readVarUint(decoder));
			this.#settle();
		};
		this.awareness.setLocalStateField("user", {
			id: account.userId,
			name: account.name,
			color: colourOf(account.userId),
		});
		this.#provider.on("status", ({ status }) => {
			if (status === "connected") this.#handedOver.connected();
			if (status !== "disconnected") return;
			this.#markUnsent();
			this.#change({ link: { kind: "away" } });
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
			// What was taken away or deleted is not asked for again; the copy stays until it is forgotten.
			else this.#drop();
			this.#change({ link: { kind: "refused", code, message: messageOf(reason) } });
		});
		this.doc.on("update", (_update: Uint8Array, origin: unknown) => {
			if (origin === this.#provider) return;
			if (this.#provider.wsconnected) this.#handedOver.sent();
			if (origin === this.#local) return;
			this.#edited = true;
			if (this.#view.link.kind === "live") return;
			this.#markUnsent();
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
		this.#onHide = () => this.#markUnsent();
		addEventListener("pagehide", this.#onHide);
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

	/** Nothing was written here that the hub has not got on its disk. */
	get handedOver(): boolean {
		return this.#localLoaded && !this.#edited;
	}

	/** What this device keeps is gone after this; the hub's is not touched. */
	async forget(): Promise<void> {
		this.#drop();
		this.#provider.destroy();
		await this.#local.clearData();
	}

	close(): void {
		this.#markUnsent();
		removeEventListener("pagehide", this.#onHide);
		document.removeEventListener("visibilitychange", this.#onWake);
		removeEventListener("online", this.#onWake);
		this.#watchers.clear();
		this.#provider.destroy();
		void this.#local.destroy();
		this.doc.destroy();
	}

	async #loadLocal(madeHere: boolean): Promise<void> {
		await this.#local.whenSynced;
		this.#localLoaded = true;
		this.#settle();
		if (madeHere) await this.#local.set(openedKey, 1);
		const opened = await this.#local.get(openedKey);
		if (opened === 1) this.#change({ ready: true });
	}

	/** Whoever closes this page now still knows, at the next visit, that the hub lacks something. */
	#markUnsent(): void {
		if (this.#edited) unsent.add(this.#userId, this.#id);
	}

	#drop(): void {
		this.#edited = false;
		unsent.remove(this.#userId, this.#id);
	}

	#settle(): void {
		if (!this.#localLoaded || !this.#edited || !this.#handedOver.complete) return;
		this.#drop();
		for (const watcher of this.#watchers) watcher();
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
