import {
	type Authenticator,
	type Closeable,
	messageOf,
	type NodeId,
	type PeerSource,
	type UserId,
	type Verdict,
} from "@warren/kernel";
import {
	type Advertised,
	type DeviceState,
	DiscoveryAdvert,
	type DocumentsList,
	type HubEndpoint,
	HubSync,
	httpHubDocuments,
	type SyncRelay,
} from "@warren/sync";
import { Agent, fetch as fetchThrough } from "undici";
import { z } from "zod";
import type { RoleBase } from "../role-base.ts";

const sessionSchema = z.object({ userId: z.string(), token: z.string() });
/** Whose documents are synced. The token is a secret. */
export type SyncSession = z.infer<typeof sessionSchema>;
/** At which hub, too: the same data folder may move to another. */
const keptSchema = sessionSchema.extend({ hubUrl: z.string().optional() });

const fileName = "sidecar-session.json";
const callTimeoutMs = 15_000;
/** In discovery: whoever says so can be dialled as a node. */
const nodeCapability = "node";

export interface SidecarHub {
	readonly hubUrl: string;
	/** PEM; null = a certificate that the system trusts, or plain HTTP on loopback. */
	readonly ca: string | null;
}

/** What this machine says of itself in discovery. */
export interface SidecarSelf {
	/** Made once an installation. */
	readonly deviceId: string;
	readonly hostname: string;
	/** Of the node beside it, as others reach it; null = only windows of this machine do. */
	readonly url: string | null;
}

/**
 * Background sync between a machine's sidecar and the hub, and its presence there, on behalf of whoever signed in at a
 * local window last, or by `warren login`. The session is kept 0600, so that a restart goes on without a window.
 */
export class SidecarSync implements Closeable, Authenticator, PeerSource {
	readonly kinds = ["session"] as const;
	/** As a source of peers. */
	readonly name = "discovery";
	readonly #base: RoleBase;
	readonly #sessions: Authenticator;
	readonly #documents: { readonly relay: SyncRelay; readonly documents: DocumentsList };
	readonly #self: SidecarSelf;
	readonly #agent: Agent;
	readonly #hub: HubEndpoint;
	readonly #onDevices: () => void;
	/** Somebody at another hub, whose documents are here. */
	#former: UserId | null = null;
	#sync: HubSync | undefined;
	#advert: DiscoveryAdvert | undefined;
	#session: SyncSession | null = null;

	constructor(
		base: RoleBase,
		hub: SidecarHub,
		parts: {
			readonly sessions: Authenticator;
			readonly documents: { readonly relay: SyncRelay; readonly documents: DocumentsList };
			readonly self: SidecarSelf;
			/** Devices of this person came or went. */
			readonly onDevices?: () => void;
		},
	) {
		this.#base = base;
		this.#sessions = parts.sessions;
		this.#documents = parts.documents;
		this.#self = parts.self;
		this.#onDevices = parts.onDevices ?? (() => {});
		const tls = hub.ca === null ? {} : { ca: hub.ca };
		this.#agent = new Agent({ connect: tls, headersTimeout: callTimeoutMs, bodyTimeout: callTimeoutMs });
		this.#hub = { url: hub.hubUrl, token: async () => this.#session?.token ?? null, dial: { tls } };
		const kept = base.data.read(fileName);
		const parsed = kept === null ? null : keptSchema.safeParse(JSON.parse(kept));
		if (parsed?.success !== true) return;
		const { hubUrl, ...session } = parsed.data;
		if (hubUrl === undefined || hubUrl === hub.hubUrl) this.#begin(session);
		else this.#former = session.userId as UserId;
	}

	/** Sessions as the hub vouches for them; a new one takes over the background sync. */
	authenticate: Authenticator["authenticate"] = async (credential, context): Promise<Verdict | null> => {
		const verdict = await this.#sessions.authenticate(credential, context);
		if (verdict?.ok === true && verdict.identity.kind === "user" && credential.scheme === "bearer")
			this.signIn({ userId: verdict.identity.userId, token: credential.token });
		return verdict;
	};

	/** This session syncs from now on. */
	signIn(session: SyncSession): void {
		if (this.#session?.token === session.token) return;
		if (this.#former !== null) return this.#move(this.#former, session);
		this.#keep(session);
		if (this.#session?.userId === session.userId) {
			this.#session = session;
			void this.#sync?.retry();
			this.#advert?.retry();
		} else this.#begin(session);
	}

	/** Whose documents are kept in step; null = nobody signed in yet. */
	get user(): UserId | null {
		return (this.#session?.userId ?? null) as UserId | null;
	}

	/** Compares the lists soon: something may have been made here. */
	refresh(): void {
		void this.#sync?.refresh();
	}

	/** Nodes among this person's devices that are present at the hub now. */
	candidates: PeerSource["candidates"] = async () => ({
		candidates: (this.#advert?.devices ?? []).flatMap(candidateOf),
		errors: [],
	});

	async close(): Promise<void> {
		await this.#advert?.close();
		await this.#sync?.close();
		await this.#agent.destroy();
	}

	/**
	 * The documents of before come along to the new hub: whoever signs in on this data folder is the same person. The
	 * session is kept after that, so that a crash in between does it again.
	 */
	#move(from: UserId, session: SyncSession): void {
		const { logger } = this.#base;
		this.#former = null;
		this.#documents.documents.moveAll(from, session.userId as UserId).then(
			(count) => {
				logger.info("documents move to another hub", { hub: this.#hub.url, count });
				this.#keep(session);
				this.#begin(session);
			},
			(fault: unknown) => {
				this.#former = from;
				logger.error("documents could not move to another hub", { fault: messageOf(fault) });
			},
		);
	}

	#keep(session: SyncSession): void {
		this.#base.data.write(JSON.stringify({ ...session, hubUrl: this.#hub.url }), fileName);
	}

	#begin(session: SyncSession): void {
		const { clock, random, logger } = this.#base;
		void this.#sync?.close();
		void this.#advert?.close();
		this.#session = session;
		const request = ((url: string, init: object) => fetchThrough(url, { ...init, dispatcher: this.#agent })) as never;
		const hubDocuments = httpHubDocuments(this.#hub, request);
		const deps = { ...this.#documents, clock, random, logger, hubDocuments };
		this.#sync = new HubSync(deps, this.#hub, session.userId as UserId).start();
		const state = advertised(this.#self);
		const told = { onDevices: this.#onDevices, onDocuments: () => this.refresh() };
		this.#advert = new DiscoveryAdvert({ clock, random, ...told }, this.#hub, state).start();
	}
}

export function advertised({ deviceId, hostname, url }: SidecarSelf): Advertised {
	return {
		type: "sidecar",
		deviceId,
		hostname,
		capabilities: ["sync", "workspace", ...(url === null ? [] : [nodeCapability])],
		...(url === null ? {} : { url }),
	};
}

/** Where a present device is dialled; nothing for those that are no node. Whom one finds there proves it by certificate. */
export function candidateOf(device: DeviceState) {
	if (device.url === undefined || !device.capabilities.includes(nodeCapability)) return [];
	const { protocol, hostname, port } = new URL(device.url);
	if (protocol !== "https:") return [];
	const host = hostname.replace(/^\[|\]$/g, "");
	return [{ name: device.hostname || host, host, port: Number(port || "443"), nodeId: device.deviceId as NodeId }];
}
