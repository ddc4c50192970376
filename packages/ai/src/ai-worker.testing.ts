import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { FetchListener, HostTable } from "@warren/net";
import { AuditLog, type AuditTable, auditSchema, type ObjectStorage, openObjectTables } from "@warren/store";
import { type AiOptions, openAi } from "./ai.ts";
import { sessions } from "./ai-sessions.testing.ts";
import { type AiTables, aiSchema } from "./schema.ts";
import { FetchUpstream } from "./upstream/fetch-upstream.ts";

interface State {
	readonly storage: ObjectStorage & { deleteAll(): Promise<void> };
}

/** AI in a Durable Object, for the contract tests: each begins with a fresh one. */
export class AiObject {
	readonly #storage: State["storage"];
	#listener: Promise<FetchListener> | null = null;
	#close: () => Promise<void> | void = () => {};

	constructor(state: State) {
		this.#storage = state.storage;
	}

	async fetch(request: Request): Promise<Response> {
		if (new URL(request.url).pathname === "/~fresh") {
			const { keys, ...options } = (await request.json()) as FreshAi;
			await this.#close();
			await this.#storage.deleteAll();
			this.#listener = this.#open({ ...options, environmentKeys: new Map(Object.entries(keys)) });
			await this.#listener;
			return new Response();
		}
		return (await this.#listener)?.fetch(request) ?? new Response("ask for a fresh one first", { status: 500 });
	}

	async #open(options: Omit<AiOptions, "keyFile" | "owner">): Promise<FetchListener> {
		const [clock, random, logger] = [systemClock, systemRandom, silentLogger];
		const { db } = await openObjectTables<AiTables & AuditTable>(this.#storage, [aiSchema, auditSchema], "under test");
		const audit = new AuditLog(db as never, clock, logger);
		const ai = await openAi(
			{ db: db as never, clock, random, logger, audit, upstream: new FetchUpstream(clock) },
			{ ...options, keyFile: null, owner: "hub" },
		);
		this.#close = () => ai.close();
		return new FetchListener(
			{ clock, logger },
			{
				role: "hub",
				hosts: new HostTable(["localhost"]),
				authenticator: sessions,
				cookieName: "warren-session",
				remoteAddressOf: () => "127.0.0.1",
				routes: ai.routes(),
			},
		);
	}
}

/** What a test asks for, as JSON. */
export interface FreshAi extends Omit<AiOptions, "keyFile" | "owner" | "environmentKeys"> {
	readonly keys: Readonly<Record<string, string>>;
}

interface Environment {
	readonly HUB: { idFromName(name: string): unknown; get(id: unknown): { fetch(request: Request): Promise<Response> } };
}

export default {
	fetch: (request: Request, { HUB }: Environment): Promise<Response> => HUB.get(HUB.idFromName("hub")).fetch(request),
};
