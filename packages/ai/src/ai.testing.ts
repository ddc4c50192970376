import { type Authenticator, type Clock, type Identity, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { HostTable, Listener } from "@warren/net";
import { AuditLog, type AuditTable, auditSchema, openSqliteTables } from "@warren/store";
import { type FakeProvider, type FakeProviderOptions, fakeProvider, tempFolder } from "@warren/testkit";
import { type Ai, type AiOptions, openAi } from "./ai.ts";
import type { HubToolSource } from "./chat/hub-tools.ts";
import { KeyFile } from "./keys/key-file.ts";
import { providerIds } from "./providers/provider-table.ts";
import { type AiTables, aiSchema } from "./schema.ts";

/** Sessions of this test: the hub's authenticator in two lines. */
export const ada = "a".repeat(32);
export const bob = "b".repeat(32);
export const adaSecondDevice = "c".repeat(32);
export const realKey = "sk-real-secret";

const people: Readonly<Record<string, Identity>> = {
	[ada]: { kind: "user", userId: "ada" as never, name: "Ada", admin: true, deviceId: "laptop", expiresAt: 9e15 },
	[adaSecondDevice]: {
		kind: "user",
		userId: "ada" as never,
		name: "Ada",
		admin: true,
		deviceId: "phone",
		expiresAt: 9e15,
	},
	[bob]: { kind: "user", userId: "bob" as never, name: "Bob", admin: false, deviceId: "desktop", expiresAt: 9e15 },
};

const sessions: Authenticator = {
	kinds: ["session"],
	async authenticate(credential) {
		if (credential.scheme !== "bearer") return null;
		const identity = people[credential.token];
		return identity === undefined
			? { ok: false, reason: "invalid", message: "This session has ended or was signed out." }
			: { ok: true, kind: "session", identity };
	},
};

/** A hub's AI on loopback, in front of a fake of every provider. */
export class TestAi implements AsyncDisposable {
	readonly fake: FakeProvider;
	readonly listener: Listener;
	readonly ai: Ai;
	readonly keyFile: KeyFile;
	readonly #close: () => Promise<void>;

	private constructor(fake: FakeProvider, listener: Listener, ai: Ai, keyFile: KeyFile, close: () => Promise<void>) {
		this.fake = fake;
		this.listener = listener;
		this.ai = ai;
		this.keyFile = keyFile;
		this.#close = close;
	}

	static async open(
		more: {
			readonly options?: Partial<AiOptions>;
			readonly fake?: FakeProviderOptions;
			readonly clock?: Clock;
			/** None are set. */
			readonly noKeys?: boolean;
			readonly tools?: HubToolSource;
		} = {},
	): Promise<TestAi> {
		const folder = tempFolder("ai");
		const fake = await fakeProvider(more.fake);
		const clock = more.clock ?? systemClock;
		const tables = await openSqliteTables<AiTables & AuditTable>(":memory:", [aiSchema, auditSchema]);
		const keyFile = folder.file("ai.env");
		const variables = ["ANTHROPIC", "OPENAI", "GOOGLE", "GROQ", "MISTRAL", "XAI", "DEEPSEEK", "OPENROUTER"];
		const ai = await openAi(
			{
				db: tables.db as never,
				clock,
				random: systemRandom,
				logger: silentLogger,
				audit: new AuditLog(tables.db as never, clock, silentLogger),
				...(more.tools === undefined ? {} : { tools: more.tools }),
			},
			{
				owner: "hub",
				keyFile,
				environmentKeys: new Map(more.noKeys === true ? [] : variables.map((name) => [`${name}_API_KEY`, realKey])),
				overrides: Object.fromEntries(providerIds.map((id) => [id, fake.origin])),
				ollamaHost: fake.origin,
				cloud: false,
				...more.options,
			},
		);
		const listener = await Listener.open(
			{ clock: systemClock, logger: silentLogger },
			{
				role: "hub",
				host: "127.0.0.1",
				port: 0,
				tls: null,
				hosts: new HostTable(["localhost"]),
				authenticator: sessions,
				cookieName: "warren-session",
				routes: ai.routes(),
			},
		);
		return new TestAi(fake, listener, ai, new KeyFile(keyFile), async () => {
			await listener.close();
			await ai.close();
			await tables.close();
			await fake[Symbol.asyncDispose]();
			folder[Symbol.dispose]();
		});
	}

	get origin(): string {
		return `http://localhost:${this.listener.port}`;
	}

	proxy(provider: string, rest = ""): string {
		return `${this.origin}/proxy/${provider}${rest}`;
	}

	async call(
		method: string,
		path: string,
		body?: unknown,
		headers: Readonly<Record<string, string>> = {},
	): Promise<{ readonly status: number; readonly body: any; readonly headers: Headers }> {
		const response = await fetch(path.startsWith("http") ? path : `${this.origin}${path}`, {
			method,
			redirect: "manual",
			headers: {
				authorization: `Bearer ${ada}`,
				...(body === undefined ? {} : { "content-type": "application/json" }),
				...headers,
			},
			...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
		});
		const text = await response.text();
		let parsed: unknown = text;
		try {
			parsed = text === "" ? null : JSON.parse(text);
		} catch {
			// A stream is looked at as text.
		}
		return { status: response.status, body: parsed, headers: response.headers };
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.#close();
	}
}
