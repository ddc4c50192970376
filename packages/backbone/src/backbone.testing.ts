import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import {
	type Clock,
	HealthTable,
	hashToken,
	Lifetime,
	newSecret,
	silentLogger,
	systemClock,
	systemRandom,
	type Tracer,
} from "@warren/kernel";
import {
	AuditLog,
	type AuditTable,
	auditSchema,
	MemoryBus,
	MemoryKeyValue,
	openSqliteTables,
	type Tables,
} from "@warren/store";
import { RawClient } from "@warren/testkit";
import type { Transport } from "./agent/dial.ts";
import { agentWindows, ServiceAgent, type ServiceAgentOptions } from "./agent/service-agent.ts";
import { type Backbone, type BackboneOptions, openBackbone } from "./backbone.ts";
import { SigningKey } from "./identity/signing-key.ts";
import { type BackboneTables, backboneSchema } from "./schema.ts";
import type { ServiceKind } from "./server/services.ts";

export const adminToken = "an-administrator-of-tests";
export const masterSecret = "a-master-secret-of-tests-and-of-nothing-else";

export interface TestPrincipal {
	readonly id: string;
	readonly credential: string;
}

/** Tables, key-value and bus, as several nodes share them. */
export class SharedState {
	readonly tables: Tables<BackboneTables & AuditTable>;
	readonly bus: BusThatFails;
	readonly kv: MemoryKeyValue;

	private constructor(tables: Tables<BackboneTables & AuditTable>) {
		this.tables = tables;
		this.bus = new BusThatFails(silentLogger);
		this.kv = new MemoryKeyValue(systemClock, silentLogger);
	}

	static async open(): Promise<SharedState> {
		return new SharedState(
			await openSqliteTables<BackboneTables & AuditTable>(":memory:", [backboneSchema, auditSchema]),
		);
	}

	async close(): Promise<void> {
		this.kv.close();
		this.bus.close();
		await this.tables.close();
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close();
	}
}

/** A bus that can be away: what is said then is lost. */
export class BusThatFails extends MemoryBus {
	isAway = false;
	readonly #resumed = new Set<() => void>();

	override get connected(): boolean {
		return !this.isAway;
	}

	override publish(subject: string, data: Uint8Array): void {
		if (!this.isAway) super.publish(subject, data);
	}

	override onResumed(watcher: () => void): { close(): void } {
		this.#resumed.add(watcher);
		return { close: () => void this.#resumed.delete(watcher) };
	}

	back(): void {
		this.isAway = false;
		for (const watcher of this.#resumed) watcher();
	}
}

/** A backbone in this process, over memory, on loopback in plain HTTP. */
export class TestBackbone implements AsyncDisposable {
	readonly backbone: Backbone;
	readonly audit: AuditLog;
	/** Of agents that say nothing else. */
	transport: Transport = "shared";
	readonly #lifetime: Lifetime;

	private constructor(backbone: Backbone, audit: AuditLog, lifetime: Lifetime) {
		this.backbone = backbone;
		this.audit = audit;
		this.#lifetime = lifetime;
	}

	/** @param shared of several nodes; without it, its own. @param clock of its timeouts. */
	static async open(
		options: Partial<BackboneOptions> = {},
		shared?: SharedState,
		{ clock = systemClock, tracer = null }: { readonly clock?: Clock; readonly tracer?: Tracer | null } = {},
	): Promise<TestBackbone> {
		const lifetime = new Lifetime();
		const { tables, bus, kv } = shared ?? lifetime.own(await SharedState.open());
		const audit = new AuditLog(tables.db as never, systemClock, silentLogger, { role: "backbone" });
		const backbone = await openBackbone(
			{
				clock,
				random: systemRandom,
				logger: silentLogger,
				tracer,
				db: tables.db,
				audit,
				health: new HealthTable(systemClock),
				bus,
				kv,
			},
			{
				domain: "mos.test",
				host: "127.0.0.1",
				port: 0,
				tls: null,
				hosts: [],
				trustedProxies: [],
				adminTokenHashes: [hashToken(adminToken)],
				masterSecret,
				signingKeys: {
					keys: [{ pem: SigningKey.generate(), from: systemClock.now() }],
					save: async () => true,
					reload: null,
				},
				nodeId: newSecret(systemRandom).replace(/[^a-z]/g, ""),
				approval: false,
				streamPorts: [0, 0],
				...options,
			},
		);
		lifetime.own(backbone);
		return new TestBackbone(backbone, audit, lifetime);
	}

	get port(): number {
		return this.backbone.port;
	}

	/** Asks the API as its clients do. */
	async api(
		method: string,
		path: string,
		options: { body?: unknown; admin?: boolean; headers?: Record<string, string>; host?: string } = {},
	): Promise<{ status: number; json: any; text: string; headers: Headers }> {
		const answer = await fetch(`http://127.0.0.1:${this.port}${path}`, {
			method,
			headers: {
				...(options.admin === false ? {} : { authorization: `Bearer ${adminToken}` }),
				...(options.body === undefined ? {} : { "content-type": "application/json" }),
				...options.headers,
			},
			...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
		});
		const text = await answer.text();
		const isJson = (answer.headers.get("content-type") ?? "").includes("json");
		return { status: answer.status, text, json: isJson ? JSON.parse(text) : null, headers: answer.headers };
	}

	async token(service: string, kind: ServiceKind = "http"): Promise<string> {
		const { token } = await this.backbone.services.createToken(service, { kind, by: "test" });
		return token;
	}

	async principal(...services: string[]): Promise<TestPrincipal> {
		const made = await this.api("POST", "/principals", {
			admin: false,
			body: { name: "Ada", email: "ada@example.com" },
		});
		for (const service of services) await this.backbone.principals.grant(made.json.principal_id, service, "test");
		return { id: made.json.principal_id, credential: made.json.credential };
	}

	/** An agent in this process; resolves when it is online. */
	async agent(
		service: string,
		port: number,
		options: Partial<ServiceAgentOptions> & {
			kind?: ServiceKind;
			transport?: Transport;
			via?: number;
			tracer?: Tracer;
			clock?: Clock;
		} = {},
	): Promise<ServiceAgent> {
		const { kind, via, tracer = null, clock = systemClock, ...rest } = options;
		const token = options.token ?? (await this.token(service, kind));
		let online = () => {};
		const settled = new Promise<void>((resolve) => (online = resolve));
		const agent = new ServiceAgent(
			{
				clock,
				random: systemRandom,
				logger: silentLogger,
				tracer,
				windows: agentWindows(),
				changed: (each) => {
					if (each.status.state !== "connecting") online();
				},
			},
			{
				url: new URL(`http://127.0.0.1:${via ?? this.port}`),
				tls: {},
				transport: this.transport,
				service,
				token,
				name: null,
				target: { host: "127.0.0.1", port, proxyProtocol: false },
				...rest,
			},
		);
		agent.start();
		this.#lifetime.defer(() => agent.close(0));
		await settled;
		return agent;
	}

	/** A service of HTTP/1.1 behind this very process. */
	async http(handler: RequestListener): Promise<{ server: Server; port: number }> {
		const server = createServer(handler);
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		this.#lifetime.defer(() => {
			server.closeAllConnections();
			server.close();
		});
		return { server, port: (server.address() as AddressInfo).port };
	}

	/** A service that does what a test says, byte by byte. */
	async tcp(accept: (socket: Socket) => void): Promise<{ server: TcpServer; port: number }> {
		const sockets = new Set<Socket>();
		const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
			sockets.add(socket);
			socket.on("error", () => {});
			accept(socket);
		});
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		this.#lifetime.defer(() => {
			for (const socket of sockets) socket.destroy();
			server.close();
		});
		return { server, port: (server.address() as AddressInfo).port };
	}

	/** Sends bytes to the public side, and gives what came until it closed. */
	raw(text: string): Promise<string> {
		return RawClient.exchange({ port: this.port }, text);
	}

	client(): Promise<RawClient> {
		return RawClient.open({ port: this.port });
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.#lifetime.close();
	}
}

/** An answer of fixed length. */
export function answer(body: string, headers = ""): string {
	return `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`;
}
