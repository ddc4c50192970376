import { join } from "node:path";
import { WireClient as SyncWireClient } from "@warren/sync/testing";
import { startCommand, Workerd } from "@warren/testkit";
import { WebSocket } from "ws";
import { WebsocketProvider as Provider1 } from "y-websocket-1";
import { WebsocketProvider as Provider2 } from "y-websocket-2";
import { WebsocketProvider as Provider3 } from "y-websocket-3";
import * as Y from "yjs";

export const setupSecret = "the-one-time-setup-secret";
export const password = "correct horse battery";

/** A hub in a runtime of its own, with clients that are people and programs. */
export class HubUnderTest implements AsyncDisposable {
	readonly origin: string;
	readonly #setup: string;
	readonly #close: () => PromiseLike<unknown>;

	constructor(origin: string, setup: string, close: () => PromiseLike<unknown>) {
		this.origin = origin;
		this.#setup = setup;
		this.#close = close;
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
				...from("198.51.100.1"),
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
		const done = await this.call("POST", "/auth/signup", body, { "x-warren-setup": this.#setup });
		if (done.status !== 200) throw new Error(`sign-up: ${done.status} ${JSON.stringify(done.body)}`);
		return done.body.token;
	}

	/** One more person, by invitation. */
	async person(owner: string, email: string): Promise<{ readonly token: string; readonly id: string }> {
		const invited = await this.call("POST", "/me/invitations", { role: "user" }, bearer(owner));
		const body = { name: email.split("@")[0], email, password, invitation: invited.body.code };
		const done = await this.call("POST", "/auth/signup", body, from("198.51.100.9"));
		if (done.status !== 200) throw new Error(`sign-up: ${done.status} ${JSON.stringify(done.body)}`);
		return { token: done.body.token, id: done.body.user.id };
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#close();
	}
}

/** The client's address, as the platform writes it, and as a proxy in front of a Node hub does. */
export function from(address: string): Record<string, string> {
	return { "cf-connecting-ip": address, "x-forwarded-for": address };
}

/** The whole worker in the real runtime. */
export async function openEdge(
	more: {
		readonly bindings?: Readonly<Record<string, string>>;
		readonly outbound?: (request: Request) => Promise<Response>;
		readonly folder?: string;
	} = {},
): Promise<HubUnderTest> {
	const { bindings, ...rest } = more;
	const workerd = await Workerd.start(join(import.meta.dirname, "worker.testing.ts"), {
		objects: { HUB: "HubObject", ROOMS: "RoomObject" },
		bindings: { WARREN_URL: "http://localhost", WARREN_SETUP: setupSecret, ...bindings },
		...rest,
	});
	return new HubUnderTest(workerd.origin, setupSecret, () => workerd[Symbol.asyncDispose]());
}

/** `warren hub`, a process on files of its own. */
export async function openNodeHub(): Promise<HubUnderTest> {
	const proxy = ["--trusted-proxy", "127.0.0.1/32"];
	const hub = startCommand(["hub", "--http", "--host", "127.0.0.1", "--port", "0", ...proxy, "--json"]);
	const { url, setupUrl } = await hub.line<{ readonly url: string; readonly setupUrl: string }>();
	const origin = `http://127.0.0.1:${new URL(url).port}`;
	return new HubUnderTest(origin, setupUrl.split("#setup=")[1] ?? "", () => hub[Symbol.asyncDispose]());
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
	hub: HubUnderTest,
	room: string,
	token: string,
	version: keyof typeof stockProviders = "3.1.0",
): StockClient {
	const Provider = stockProviders[version] as unknown as typeof Provider3;
	const bySubprotocol = version !== "1.5.4";
	const doc = new Y.Doc();
	const provider = new Provider(`${hub.wsUrl}/rooms`, `${room}/sync`, doc, {
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
	constructor(hub: HubUnderTest, room: string, token: string, headers: Readonly<Record<string, string>> = {}) {
		super(hub.wsUrl, room, { token, headers });
	}
}
