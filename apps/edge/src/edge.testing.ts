import { join } from "node:path";
import { WireClient as SyncWireClient } from "@warren/sync/testing";
import { Workerd } from "@warren/testkit";
import { WebSocket } from "ws";
import { WebsocketProvider as Provider1 } from "y-websocket-1";
import { WebsocketProvider as Provider2 } from "y-websocket-2";
import { WebsocketProvider as Provider3 } from "y-websocket-3";
import * as Y from "yjs";

export const setupSecret = "the-one-time-setup-secret";
export const password = "correct horse battery";

/** The whole worker in the real runtime, with clients that are people and programs. */
export class TestEdge implements AsyncDisposable {
	readonly #workerd: Workerd;

	private constructor(workerd: Workerd) {
		this.#workerd = workerd;
	}

	static async open(
		more: {
			readonly bindings?: Readonly<Record<string, string>>;
			readonly outbound?: (request: Request) => Promise<Response>;
			readonly folder?: string;
		} = {},
	): Promise<TestEdge> {
		const { bindings, ...rest } = more;
		const workerd = await Workerd.start(join(import.meta.dirname, "worker.testing.ts"), {
			objects: { HUB: "HubObject", ROOMS: "RoomObject" },
			bindings: { WARREN_URL: "http://localhost", WARREN_SETUP: setupSecret, ...bindings },
			...rest,
		});
		return new TestEdge(workerd);
	}

	get origin(): string {
		return this.#workerd.origin;
	}

	get wsUrl(): string {
		return this.origin.replace("http", "ws");
	}

	async call(
		method: string,
		path: string,
		body?: unknown,
		headers: Readonly<Record<string, string>> = {},
	): Promise<{ readonly status: number; readonly body: any; readonly headers: Headers }> {
		const response = await fetch(`${this.origin}${path}`, {
			method,
			redirect: "manual",
			headers: {
				"cf-connecting-ip": "198.51.100.1",
				...(body === undefined ? {} : { "content-type": "application/json" }),
				...headers,
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		const text = await response.text();
		const json = (response.headers.get("content-type") ?? "").includes("json");
		return { status: response.status, body: json && text !== "" ? JSON.parse(text) : text, headers: response.headers };
	}

	/** The first owner. @returns the session's token. */
	async owner(): Promise<string> {
		const body = { name: "Ada", email: "ada@example.test", password };
		const done = await this.call("POST", "/auth/signup", body, { "x-warren-setup": setupSecret });
		if (done.status !== 200) throw new Error(`sign-up: ${done.status} ${JSON.stringify(done.body)}`);
		return done.body.token;
	}

	/** One more person, by invitation. */
	async person(owner: string, email: string): Promise<{ readonly token: string; readonly id: string }> {
		const invited = await this.call("POST", "/me/invitations", { role: "user" }, bearer(owner));
		const body = { name: email.split("@")[0], email, password, invitation: invited.body.code };
		const done = await this.call("POST", "/auth/signup", body, { "cf-connecting-ip": "198.51.100.9" });
		if (done.status !== 200) throw new Error(`sign-up: ${done.status} ${JSON.stringify(done.body)}`);
		return { token: done.body.token, id: done.body.user.id };
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.#workerd[Symbol.asyncDispose]();
	}
}

export function bearer(token: string): Record<string, string> {
	return { authorization: `Bearer ${token}` };
}

export const stockProviders = { "1.5.4": Provider1, "2.1.0": Provider2, "3.1.0": Provider3 } as const;

export interface StockClient extends Disposable {
	readonly doc: Y.Doc;
	readonly provider: Provider3;
	text(): string;
	synced(): Promise<void>;
	/** Asked after each change of the document. */
	when(holds: (text: string) => boolean): Promise<void>;
	/** Asked after each change of who is here. */
	whenPresent(holds: (names: readonly unknown[]) => boolean): Promise<void>;
}

/** npm's own provider, unmodified. */
export function stockClient(
	edge: TestEdge,
	room: string,
	token: string,
	version: keyof typeof stockProviders = "3.1.0",
): StockClient {
	const Provider = stockProviders[version] as unknown as typeof Provider3;
	const bySubprotocol = version !== "1.5.4";
	const doc = new Y.Doc();
	const provider = new Provider(`${edge.wsUrl}/rooms`, `${room}/sync`, doc, {
		...(bySubprotocol ? { protocols: ["warren.v1", `bearer.${token}`] } : {}),
		WebSocketPolyfill: (bySubprotocol ? WebSocket : withHeader(token)) as never,
		disableBc: true,
		maxBackoffTime: 200,
	});
	provider.on("connection-error", () => {});
	const text = () => doc.getText("t").toJSON();
	return {
		doc,
		provider,
		text,
		synced: () => new Promise((resolve) => (provider.synced ? resolve() : provider.once("sync", () => resolve()))),
		when: (holds) => until(doc, "update", () => holds(text())),
		whenPresent: (holds) =>
			until(provider.awareness, "change", () =>
				holds([...provider.awareness.getStates().values()].map((state) => state["name"])),
			),
		[Symbol.dispose]: () => {
			provider.destroy();
			doc.destroy();
		},
	};
}

/** 1.5 cannot name subprotocols; a browser would come with its cookie. */
function withHeader(token: string) {
	return class extends WebSocket {
		constructor(url: string) {
			super(url, { headers: bearer(token) });
		}
	};
}

function until(
	source: { on(event: never, listener: () => void): unknown; off(event: never, listener: () => void): unknown },
	event: string,
	holds: () => boolean,
): Promise<void> {
	return new Promise((resolve) => {
		const check = () => {
			if (!holds()) return;
			source.off(event as never, check);
			resolve();
		};
		source.on(event as never, check);
		check();
	});
}

/** A socket without a document, at this hub. */
export class WireClient extends SyncWireClient {
	constructor(edge: TestEdge, room: string, token: string, headers: Readonly<Record<string, string>> = {}) {
		super(edge.wsUrl, room, { token, headers });
	}
}
