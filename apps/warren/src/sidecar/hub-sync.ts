import { type Authenticator, type Closeable, type Verdict } from "@warren/kernel";
import { type DocumentsList, HubSync, type SyncRelay } from "@warren/sync";
import { Agent, request } from "undici";
import { z } from "zod";
import type { NodeBase } from "../node/role-part.ts";

const listSchema = z.object({ rooms: z.array(z.object({ id: z.string(), title: z.string() })) });
const keptSchema = z.object({ userId: z.string(), token: z.string() });
const fileName = "sidecar-session.json";
const callTimeoutMs = 15_000;

export interface SidecarHub {
	readonly hubUrl: string;
	/** PEM. */
	readonly ca: string;
}

/**
 * Background sync between a joined machine's sidecar and the hub, on behalf of whoever signed in at a local window last.
 * The session is kept 0600, so that a restart goes on without a window.
 */
export class SidecarSync implements Closeable, Authenticator {
	readonly kinds = ["session"] as const;
	readonly #base: NodeBase;
	readonly #hub: SidecarHub;
	readonly #sessions: Authenticator;
	readonly #deps: { readonly relay: SyncRelay; readonly documents: DocumentsList };
	readonly #agent: Agent;
	#sync: HubSync | undefined;
	#session: z.infer<typeof keptSchema> | null = null;

	constructor(
		base: NodeBase,
		hub: SidecarHub,
		sessions: Authenticator,
		deps: { readonly relay: SyncRelay; readonly documents: DocumentsList },
	) {
		this.#base = base;
		this.#hub = hub;
		this.#sessions = sessions;
		this.#deps = deps;
		this.#agent = new Agent({ connect: { ca: hub.ca }, headersTimeout: callTimeoutMs, bodyTimeout: callTimeoutMs });
		const kept = base.data.read(fileName);
		const parsed = kept === null ? null : keptSchema.safeParse(JSON.parse(kept));
		if (parsed?.success === true) this.#begin(parsed.data);
	}

	/** Sessions as the hub vouches for them; a new one takes over the background sync. */
	authenticate: Authenticator["authenticate"] = async (credential, context): Promise<Verdict | null> => {
		const verdict = await this.#sessions.authenticate(credential, context);
		if (verdict?.ok === true && verdict.identity.kind === "user" && credential.scheme === "bearer")
			this.#adopt({ userId: verdict.identity.userId, token: credential.token });
		return verdict;
	};

	/** Compares the lists soon: something may have been made here. */
	refresh(): void {
		void this.#sync?.refresh();
	}

	async close(): Promise<void> {
		await this.#sync?.close();
		await this.#agent.destroy();
	}

	#adopt(session: z.infer<typeof keptSchema>): void {
		if (this.#session?.token === session.token) return;
		this.#base.data.write(JSON.stringify(session), fileName);
		if (this.#session?.userId === session.userId) {
			this.#session = session;
			void this.#sync?.retry();
		} else this.#begin(session);
	}

	#begin(session: z.infer<typeof keptSchema>): void {
		const { clock, random, logger } = this.#base;
		void this.#sync?.close();
		this.#session = session;
		this.#sync = new HubSync(
			{
				...this.#deps,
				clock,
				random,
				logger,
				hubDocuments: {
					list: async () => listSchema.parse(await this.#call("GET", "/rooms")).rooms,
					create: async (document) => void (await this.#call("POST", "/rooms", document)),
				},
			},
			{ url: this.#hub.hubUrl, token: async () => this.#session?.token ?? null, dial: { tls: { ca: this.#hub.ca } } },
			session.userId as never,
		).start();
	}

	/** A document that is there already is what was asked for. */
	async #call(method: "GET" | "POST", path: string, body?: unknown): Promise<unknown> {
		const answer = await request(new URL(path, this.#hub.hubUrl), {
			method,
			dispatcher: this.#agent,
			headers: {
				authorization: `Bearer ${this.#session?.token ?? ""}`,
				...(body === undefined ? {} : { "content-type": "application/json" }),
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		const text = await answer.body.text();
		if (answer.statusCode >= 400 && answer.statusCode !== 409)
			throw new Error(`the hub answered ${answer.statusCode} to ${method} ${path}`);
		return text === "" ? null : JSON.parse(text);
	}
}
