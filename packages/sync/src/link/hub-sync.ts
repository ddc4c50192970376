import { Backoff, type Closeable, closeCodes, messageOf, type Timer, type UserId, WarrenError } from "@warren/kernel";
import type { DocumentsList } from "../documents/documents-list.ts";
import { type HubEndpoint, linkLimits } from "./hub-endpoint.ts";
import { HubTransport } from "./hub-transport.ts";
import { type LinkState, UpstreamLink, type UpstreamLinkDeps } from "./upstream-link.ts";

export const hubSyncLimits = {
	/** Documents joined to the hub at a time. */
	maxLinks: 1_000,
	/** The two lists are compared this often, and whenever one of them is known to have changed. */
	listEveryMs: 60_000,
} as const;

/** The hub's list of this user's documents. */
export interface HubDocuments {
	list(): Promise<readonly { readonly id: string; readonly title: string; readonly access: string }[]>;
	/** One that exists already is no fault. @returns `deleted`: the hub had it, and its id is used up. */
	create(document: { readonly id: string; readonly title: string }): Promise<"there" | "deleted">;
	rename(document: { readonly id: string; readonly title: string }): Promise<void>;
	/** One that is gone already is no fault. */
	delete(id: string): Promise<void>;
}

export interface HubSyncDeps extends Omit<UpstreamLinkDeps, "transport"> {
	/** This machine's own list. */
	readonly documents: DocumentsList;
	readonly hubDocuments: HubDocuments;
}

export interface HubSyncStatus {
	readonly links: ReadonlyMap<string, LinkState>;
	/** Why the lists could not be compared last time, or null. */
	readonly listFault: string | null;
}

/** Background sync of a sidecar: every document of the user, made here or at the hub, is joined to its other half. */
export class HubSync implements Closeable {
	readonly #deps: HubSyncDeps;
	readonly #hub: HubEndpoint;
	readonly #user: UserId;
	readonly #transport: HubTransport;
	readonly #links = new Map<string, UpstreamLink>();
	readonly #backoff: Backoff;
	#listFault: string | null = null;
	#timer: Timer | undefined;
	#comparing: Promise<void> | null = null;
	/** Something changed while the lists were being compared. */
	#again = false;
	#closed = false;

	constructor(deps: HubSyncDeps, hub: HubEndpoint, user: UserId) {
		this.#deps = deps;
		this.#hub = hub;
		this.#user = user;
		this.#transport = new HubTransport(hub, deps.clock);
		this.#backoff = new Backoff({ firstMs: linkLimits.firstRetryMs, maxMs: hubSyncLimits.listEveryMs }, deps.random);
	}

	get status(): HubSyncStatus {
		const links = new Map([...this.#links].map(([id, link]) => [id, link.state]));
		return { links, listFault: this.#listFault };
	}

	start(): this {
		void this.refresh();
		return this;
	}

	/** Compares the lists now: a document was made, somebody signed in, the network came back. */
	refresh(): Promise<void> {
		if (this.#comparing !== null) this.#again = true;
		this.#comparing ??= this.#compare().finally(() => {
			this.#comparing = null;
			if (!this.#again || this.#closed) return;
			this.#again = false;
			void this.refresh();
		});
		return this.#comparing;
	}

	/** Every link tries at once, parked ones too: after a sign-in. */
	async retry(): Promise<void> {
		for (const link of this.#links.values()) link.retry();
		await this.refresh();
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#timer?.cancel();
		await Promise.all([...this.#links.values()].map((link) => link.close()));
		await this.#transport.close();
	}

	async #compare(): Promise<void> {
		this.#timer?.cancel();
		let nextMs: number = hubSyncLimits.listEveryMs;
		try {
			const gone = await this.#unlinkDeleted();
			const remote = await this.#withoutDeleted(gone, await this.#deps.hubDocuments.list());
			const local = await this.#deps.documents.list(this.#user);
			const agreed = await this.#deps.documents.agreement.titles(this.#user);
			const here = new Set(local.map((each) => each.id));
			const there = new Map(remote.map((each) => [each.id, each.title]));
			for (const { id, title } of remote) {
				if (!here.has(id) && (await this.#adopt(id, title))) this.#link(id);
			}
			for (const { id, title } of local) {
				const theirs = there.get(id);
				// Before it is joined: a link would make it with no title but its id.
				const known = agreed.get(id) ?? null;
				if (theirs !== undefined) await this.#reconcile(id, { ours: title, theirs, agreed: known });
				else if ((await this.#offer(id, title)) === "deleted" && known !== null) {
					await this.#drop(id);
					continue;
				}
				this.#link(id);
			}
			this.#listFault = null;
			this.#backoff.reset();
		} catch (fault) {
			this.#listFault = messageOf(fault);
			nextMs = this.#backoff.nextMs();
			this.#deps.logger.info("the hub's documents cannot be listed", { fault: this.#listFault });
		}
		if (this.#closed) return;
		this.#timer = this.#deps.clock.after(nextMs, () => void this.refresh());
	}

	/** @returns false for one that was deleted here, or belongs to another user of this machine. */
	async #adopt(id: string, title: string): Promise<boolean> {
		try {
			await this.#deps.documents.create(this.#user, { id, title });
			await this.#deps.documents.agreement.title(id, title);
			return true;
		} catch (fault) {
			if (fault instanceof WarrenError && !fault.retryable) return false;
			throw fault;
		}
	}

	/** What is refused (somebody else's) shows in the link's own state, and keeps no other document waiting. */
	async #offer(id: string, title: string): Promise<"there" | "deleted" | "refused"> {
		try {
			const outcome = await this.#deps.hubDocuments.create({ id, title });
			if (outcome === "there") await this.#deps.documents.agreement.title(id, title);
			return outcome;
		} catch (fault) {
			this.#deps.logger.warn("a document was not taken by the hub", { document: id, fault: messageOf(fault) });
			return "refused";
		}
	}

	/** What was deleted here must not come back through its link, told or not. @returns what the hub has to be told. */
	async #unlinkDeleted(): Promise<ReadonlySet<string>> {
		const { documents, relay } = this.#deps;
		const gone = new Set(await documents.agreement.deletedHere(this.#user));
		const here = new Set((await documents.list(this.#user)).map((each) => each.id));
		for (const id of this.#links.keys()) {
			if (here.has(id)) continue;
			await this.#unlink(id);
			await relay.drop(id);
		}
		return gone;
	}

	/** What others share with this person stays theirs, and away from here. */
	async #withoutDeleted<T extends { readonly id: string; readonly access: string }>(
		gone: ReadonlySet<string>,
		remote: readonly T[],
	): Promise<T[]> {
		const { documents, hubDocuments } = this.#deps;
		for (const id of gone) {
			if (remote.some((each) => each.id === id && each.access === "owner")) await hubDocuments.delete(id);
			await documents.agreement.deleted(id);
		}
		return remote.filter((each) => !gone.has(each.id));
	}

	/** It was deleted at the hub: for good, and so everywhere. */
	async #drop(id: string): Promise<void> {
		const { documents, relay, logger } = this.#deps;
		await this.#unlink(id);
		await documents.delete(this.#user, id);
		await documents.agreement.deleted(id);
		await relay.drop(id);
		logger.info("a document was deleted at the hub, and is here too", { document: id });
	}

	/** Whoever renamed since both had the same title is heard; when both did, the hub, as every other machine follows it. */
	async #reconcile(id: string, titles: { ours: string; theirs: string; agreed: string | null }): Promise<void> {
		const { ours, theirs, agreed } = titles;
		const { documents, hubDocuments, logger } = this.#deps;
		if (ours === theirs) {
			if (agreed !== ours) await documents.agreement.title(id, ours);
			return;
		}
		// Before they ever agreed, a title that is but the id is nobody's wish.
		const isOurs = agreed === null ? theirs === id : theirs === agreed;
		if (!isOurs) return documents.agreement.title(id, theirs);
		try {
			await hubDocuments.rename({ id, title: ours });
			await documents.agreement.title(id, ours);
		} catch (fault) {
			if (!(fault instanceof WarrenError) || fault.retryable || fault.details["status"] === undefined) throw fault;
			// Shared read-only, or gone there.
			logger.info("a title was not taken by the hub", { document: id, fault: messageOf(fault) });
			await documents.agreement.title(id, theirs);
		}
	}

	#link(id: string): void {
		if (this.#closed || this.#links.has(id) || this.#links.size >= hubSyncLimits.maxLinks) return;
		const link = new UpstreamLink({ ...this.#deps, transport: this.#transport }, this.#hub, id, (state) => {
			// Deleted there, perhaps: the lists tell.
			if (state.at === "parked" && state.code === closeCodes.unknown) void this.refresh();
		});
		this.#links.set(id, link.start());
	}

	async #unlink(id: string): Promise<void> {
		const link = this.#links.get(id);
		this.#links.delete(id);
		await link?.close();
	}
}
