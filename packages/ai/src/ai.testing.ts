import { type Clock, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { HostTable, Listener } from "@warren/net";
import { AuditLog, type AuditTable, auditSchema, openSqliteTables } from "@warren/store";
import { type FakeProvider, type FakeProviderOptions, fakeProvider, tempFolder } from "@warren/testkit";
import { type Ai, type AiOptions, openAi } from "./ai.ts";
import { ada, sessions } from "./ai-sessions.testing.ts";
import type { FreshAi } from "./ai-worker.testing.ts";
import type { HubToolSource } from "./chat/hub-tools.ts";
import { KeyFile } from "./keys/key-file.ts";
import { providerIds } from "./providers/provider-table.ts";
import { type AiTables, aiSchema } from "./schema.ts";
import { UpstreamPools } from "./upstream/upstream-pools.ts";

export const realKey = "sk-real-secret";

export { ada, adaSecondDevice, bob } from "./ai-sessions.testing.ts";

interface TestAiOptions {
	readonly options?: Partial<AiOptions>;
	readonly fake?: FakeProviderOptions;
	readonly clock?: Clock;
	/** None are set. */
	readonly noKeys?: boolean;
	/** Here alone: a function reaches no other runtime. */
	readonly tools?: HubToolSource;
}

/** Where the suites find their hubs. */
export interface TestAiHubs {
	/** In a runtime of their own, reached over HTTP alone. */
	readonly remote: boolean;
	open(more?: TestAiOptions): Promise<TestAi>;
}

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

	/** In the worker of ai-worker.testing.ts, which begins afresh. */
	static async remote(port: number, { options, fake: say, noKeys }: TestAiOptions): Promise<TestAi> {
		const fake = await fakeProvider(say);
		const { keyFile: _file, environmentKeys: _keys, owner: _owner, ...more } = options ?? {};
		const fresh: FreshAi = { ...settingsFor(fake), keys: noKeys === true ? {} : keys, ...more };
		const answer = await fetch(`http://localhost:${port}/~fresh`, { method: "POST", body: JSON.stringify(fresh) });
		if (!answer.ok) throw new Error(`a fresh hub: ${answer.status} ${await answer.text()}`);
		const close = async () => {
			await fake[Symbol.asyncDispose]();
		};
		return new TestAi(fake, { port } as never, undefined as never, undefined as never, close);
	}

	static async open(more: TestAiOptions = {}): Promise<TestAi> {
		const folder = tempFolder("ai");
		const fake = await fakeProvider(more.fake);
		const clock = more.clock ?? systemClock;
		const tables = await openSqliteTables<AiTables & AuditTable>(":memory:", [aiSchema, auditSchema]);
		const keyFile = folder.file("ai.env");
		const ai = await openAi(
			{
				db: tables.db as never,
				clock,
				random: systemRandom,
				logger: silentLogger,
				audit: new AuditLog(tables.db as never, clock, silentLogger),
				...(more.tools === undefined ? {} : { tools: more.tools }),
				upstream: new UpstreamPools(),
			},
			{
				owner: "hub",
				keyFile,
				environmentKeys: new Map(more.noKeys === true ? [] : Object.entries(keys)),
				...settingsFor(fake),
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

export const nodeHubs: TestAiHubs = { remote: false, open: (more) => TestAi.open(more) };

const variables = ["ANTHROPIC", "OPENAI", "GOOGLE", "GROQ", "MISTRAL", "XAI", "DEEPSEEK", "OPENROUTER"];
const keys = Object.fromEntries(variables.map((name) => [`${name}_API_KEY`, realKey]));

function settingsFor({ origin }: FakeProvider) {
	return { overrides: Object.fromEntries(providerIds.map((id) => [id, origin])), ollamaHost: origin, cloud: false };
}
