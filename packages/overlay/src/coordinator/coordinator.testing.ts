import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
	type Audit,
	type Clock,
	firstOf,
	hashToken,
	newId,
	silentLogger,
	systemClock,
	systemRandom,
} from "@warren/kernel";
import { HostTable, Listener, type TlsIdentity } from "@warren/net";
import { tempFolder } from "@warren/testkit";
import { Agent, type Dispatcher, request } from "undici";
import { AuthorityFolder } from "../authority/authority-folder.ts";
import { EventReader, type StreamEvent } from "../protocol/sse.ts";
import type { SqliteAddressStore } from "./address-store.ts";
import { Coordinator } from "./coordinator.ts";
import type { JoinAuthority } from "./join-authority.ts";
import type { RevocationFile } from "./revocation-file.ts";

const noAudit: Audit = { record() {}, list: async () => [] };
export const adminToken = "an-administrators-token";

export interface TestCoordinatorOptions {
	readonly tls?: TlsIdentity;
	readonly clock?: Clock;
	readonly policy?: string;
	readonly addresses?: SqliteAddressStore;
	readonly joinTokens?: JoinAuthority;
	readonly revocations?: RevocationFile;
	readonly port?: number;
}

export const everybody = '{"acls":[{"action":"accept","src":["*"],"dst":["*"]}]}';

/** A coordinator on loopback, with a clock of its own where the test turns it. */
export async function startCoordinator(options: TestCoordinatorOptions = {}) {
	const clock = options.clock ?? systemClock;
	const coordinator = await Coordinator.open(
		{
			clock,
			random: systemRandom,
			logger: silentLogger,
			audit: noAudit,
			addresses: options.addresses ?? null,
			joinTokens: options.joinTokens ?? null,
			...(options.revocations === undefined ? {} : { revocations: options.revocations }),
		},
		{
			tls: options.tls ?? null,
			policy: options.policy ?? everybody,
			adminTokenHashes: [hashToken(adminToken)],
			stunPort: 0,
			host: "127.0.0.1",
		},
	);
	const listener = await Listener.open(
		{ clock: systemClock, logger: silentLogger },
		{
			role: "coordinator",
			host: "127.0.0.1",
			port: options.port ?? 0,
			tls: options.tls ?? null,
			hosts: new HostTable(["localhost"]),
			routes: coordinator.routes,
			authenticator: firstOf(coordinator.authenticator),
		},
	);
	coordinator.listening(listener);
	const url = `${options.tls === undefined ? "http" : "https"}://127.0.0.1:${listener.port}`;
	return {
		coordinator,
		url,
		port: listener.port,
		async [Symbol.asyncDispose]() {
			await coordinator.close();
			await listener.close();
		},
	};
}

export type TestCoordinator = Awaited<ReturnType<typeof startCoordinator>>;

export interface Answer {
	readonly status: number;
	readonly body: any;
	readonly etag: string;
}

/** A joiner as the original's client would be: plain requests. */
export class TestJoiner {
	readonly key: string;
	readonly #url: string;
	readonly agent: Agent;
	peerId = "";
	ula = "";

	constructor(
		url: string,
		tls: { ca: string; cert: string; key: string } | null = null,
		key = Buffer.from(systemRandom.bytes(32)).toString("base64"),
	) {
		this.#url = url;
		this.key = key;
		this.agent = new Agent(tls === null ? {} : { connect: tls });
	}

	async call(
		method: "GET" | "POST" | "PUT" | "DELETE",
		path: string,
		body?: unknown,
		headers: Record<string, string> = {},
	): Promise<Answer> {
		const answer = await request(`${this.#url}${path}`, {
			method,
			dispatcher: this.agent,
			headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
			...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
		});
		const text = await answer.body.text();
		return {
			status: answer.statusCode,
			body: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text,
			etag: String(answer.headers["etag"] ?? ""),
		};
	}

	admin(
		method: "GET" | "POST" | "PUT" | "DELETE",
		path: string,
		body?: unknown,
		headers: Record<string, string> = {},
	): Promise<Answer> {
		return this.call(method, path, body, { authorization: `Bearer ${adminToken}`, ...headers });
	}

	async register(extra: Record<string, unknown> = {}): Promise<Answer> {
		const answer = await this.call("POST", "/v1/mesh/register", {
			wg_public_key: this.key,
			display_name: `peer-${newId(systemRandom, 4)}`,
			...extra,
		});
		if (answer.status === 200) {
			this.peerId = answer.body.peer_id as string;
			this.ula = answer.body.ula as string;
		}
		return answer;
	}

	heartbeat(extra: Record<string, unknown> = {}): Promise<Answer> {
		return this.call("POST", "/v1/mesh/heartbeat", { peer_id: this.peerId, ...extra });
	}

	/** The stream, once its head has come. */
	async stream(
		options: { readonly peerId?: string; readonly deltas?: boolean; readonly after?: string } = {},
	): Promise<TestStream> {
		const answer = await request(
			`${this.#url}/v1/mesh/peers/stream?peer_id=${options.peerId ?? this.peerId}${options.deltas === true ? "&deltas=1" : ""}`,
			{
				dispatcher: this.agent,
				headers: options.after === undefined ? {} : { "last-event-id": options.after },
			},
		);
		return new TestStream(answer);
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.agent.destroy();
	}
}

export class TestStream {
	readonly status: number;
	readonly events: StreamEvent[] = [];
	readonly #body: Dispatcher.ResponseData["body"];
	readonly #reader = new EventReader();
	readonly #waiters = new Set<() => void>();
	ended = false;

	constructor(answer: Dispatcher.ResponseData) {
		this.status = answer.statusCode;
		this.#body = answer.body;
		void this.#read();
	}

	async #read(): Promise<void> {
		try {
			for await (const bytes of this.#body) {
				this.events.push(...this.#reader.push(bytes as Uint8Array));
				for (const waiter of this.#waiters) waiter();
			}
		} catch {
			// Cut: that is an end as well.
		}
		this.ended = true;
		for (const waiter of this.#waiters) waiter();
	}

	/** Resolves once `found` holds of what has come; the test's own time limit bounds it. */
	until(found: (events: readonly StreamEvent[]) => boolean): Promise<readonly StreamEvent[]> {
		return new Promise((resolve, reject) => {
			const look = () => {
				if (found(this.events)) resolve(this.events);
				else if (this.ended) reject(new Error(`the stream ended after ${JSON.stringify(this.events)}`));
				else return;
				this.#waiters.delete(look);
			};
			this.#waiters.add(look);
			look();
		});
	}

	async closed(): Promise<void> {
		if (this.ended) return;
		await new Promise<void>((resolve) => this.#waiters.add(() => (this.ended ? resolve() : undefined)));
	}

	close(): void {
		this.#body.destroy();
	}
}

/** A CA with a coordinator's certificate and as many peers' as are named. */
export async function makeCertificates(peers: Readonly<Record<string, readonly string[]>>) {
	const folder = tempFolder("overlay-ca");
	const ca = await AuthorityFolder.init(folder.file("ca"), "test mesh", [], systemClock, systemRandom);
	/** @param startsInDays from now; it is good for 30. */
	const issue = async (name: string, tags: readonly string[], hosts: readonly string[] = [], startsInDays = 0) => {
		const then: Clock = { ...systemClock, now: () => systemClock.now() + startsInDays * 24 * 3600 * 1000 };
		const by = startsInDays === 0 ? ca : await AuthorityFolder.open(folder.file("ca"), then, systemRandom);
		await by.issuePeer({ name, out: folder.file(name), tags, hosts, days: 30 });
		const read = (file: string) => readFileSync(join(folder.file(name), file), "utf8");
		return { ca: read("ca.crt"), cert: read("peer.crt"), key: read("peer.key") };
	};
	const server = await issue("coordinator", [], ["127.0.0.1"]);
	const made: Record<string, { ca: string; cert: string; key: string }> = {};
	for (const [name, tags] of Object.entries(peers)) made[name] = await issue(name, tags);
	return {
		folder,
		ca,
		issue,
		server: { cert: server.cert, key: server.key, clientCa: server.ca } satisfies TlsIdentity,
		peers: made,
		[Symbol.dispose]: () => folder[Symbol.dispose](),
	};
}
