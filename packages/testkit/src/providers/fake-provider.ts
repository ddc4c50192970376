import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { type Format, type Said, streamed, whole } from "./formats.ts";

/** A request as it arrived. */
export interface SeenRequest {
	readonly method: string;
	readonly path: string;
	readonly headers: IncomingHttpHeaders;
	readonly body: Buffer;
	readonly json: any;
}

export interface FakeProviderOptions {
	/** What it answers; may look at the request. Streams it when the request asks for a stream. */
	readonly say?: (request: SeenRequest) => Partial<Said>;
}

/**
 * Stands for every provider at once, over real HTTP: it speaks the format of the path that it is asked at. A model called
 * `fault-…` injects that fault: 401, 429, 500, redirect, die (in the middle of a stream), hang (no answer at all), slow
 * (a stream that goes on until `release`), huge, split (UTF-8 cut between bytes), gzip, cookie (hostile headers), `once`
 * (503 the first time).
 */
export interface FakeProvider extends AsyncDisposable {
	readonly origin: string;
	readonly requests: SeenRequest[];
	/** Exactly the bytes of the last answer's body. */
	readonly lastBody: () => Buffer;
	/** Answers that are still open. */
	readonly open: () => number;
	/** Resolves when a client closed an answer before its end; performance.now(). */
	nextAbandoned(): Promise<number>;
	/** Lets slow streams end. */
	release(): void;
	/** Closes the port; later requests are refused. */
	stop(): Promise<void>;
}

export const hugeAnswerBytes = 8 * 1024 * 1024;

export async function fakeProvider(options: FakeProviderOptions = {}): Promise<FakeProvider> {
	const requests: SeenRequest[] = [];
	const abandonedWaiters: ((at: number) => void)[] = [];
	const slow = new Set<() => void>();
	const open = new Set<ServerResponse>();
	const tried = new Set<string>();
	let written: Buffer[] = [];
	const server: Server = createServer((incoming, outgoing) => {
		const chunks: Buffer[] = [];
		open.add(outgoing);
		outgoing.once("close", () => {
			open.delete(outgoing);
			if (!outgoing.writableFinished) abandonedWaiters.shift()?.(performance.now());
		});
		incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
		incoming.once("end", () => {
			const body = Buffer.concat(chunks);
			const seen: SeenRequest = {
				method: incoming.method ?? "",
				path: incoming.url ?? "",
				headers: incoming.headers,
				body,
				json: parse(body),
			};
			requests.push(seen);
			written = [];
			respond(seen, outgoing);
		});
	});

	function write(outgoing: ServerResponse, data: string | Buffer): void {
		const bytes = Buffer.from(data as string);
		written.push(bytes);
		outgoing.write(bytes);
	}

	function answer(outgoing: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
		outgoing.writeHead(status, { "content-type": "application/json", "x-request-id": "req_1", ...headers });
		write(outgoing, typeof body === "string" || Buffer.isBuffer(body) ? (body as string) : JSON.stringify(body));
		outgoing.end();
	}

	function respond(request: SeenRequest, outgoing: ServerResponse): void {
		const path = request.path.split("?")[0] as string;
		if (request.method === "GET") {
			answer(outgoing, 200, listOf(path));
			return;
		}
		const format = formatOf(path);
		if (format === null) {
			answer(outgoing, 404, { error: { message: `no such path ${path}` } });
			return;
		}
		const model = modelOf(request, path);
		const said: Said = {
			model,
			text: "Hello from the fake.",
			inputTokens: 11,
			outputTokens: 5,
			...options.say?.(request),
		};
		const fault = model.startsWith("fault-") ? model.slice(6) : "";
		if (fault === "once" && !tried.has("once")) {
			tried.add("once");
			answer(outgoing, 503, { error: { message: "overloaded" } });
			return;
		}
		const refused = refusals[fault];
		if (refused !== undefined) {
			answer(outgoing, refused.status, format === "gemini" ? googleError(refused) : refused.body, refused.headers);
			return;
		}
		if (fault === "hang") return;
		const stream =
			request.json?.stream === true ||
			path.includes(":stream") ||
			(format === "ollama" && request.json?.stream !== false);
		if (!stream) {
			const body = JSON.stringify(
				whole(format, fault === "huge" ? { ...said, text: "x".repeat(hugeAnswerBytes) } : said),
			);
			if (fault === "gzip") answer(outgoing, 200, gzipSync(body), { "content-encoding": "gzip" });
			else answer(outgoing, 200, body, fault === "cookie" ? hostileHeaders : {});
			return;
		}
		outgoing.writeHead(200, {
			"content-type": format === "ollama" ? "application/x-ndjson" : "text/event-stream",
			"x-request-id": "req_1",
			...(fault === "cookie" ? hostileHeaders : {}),
		});
		const parts = streamed(format, said, request.json?.stream_options?.include_usage === true);
		switch (fault) {
			case "die":
				for (const part of parts.slice(0, 3)) write(outgoing, part);
				setImmediate(() => outgoing.socket?.resetAndDestroy());
				return;
			case "slow": {
				for (const part of parts.slice(0, 2)) write(outgoing, part);
				const end = () => {
					for (const part of parts.slice(2)) write(outgoing, part);
					outgoing.end();
				};
				slow.add(end);
				outgoing.once("close", () => slow.delete(end));
				return;
			}
			case "huge":
				writeHuge(outgoing, parts);
				return;
			case "split":
				void writeByteByByte(outgoing, parts.join(""));
				return;
			default:
				for (const part of parts) write(outgoing, part);
				outgoing.end();
		}
	}

	/** As fast as the reader takes it. */
	function writeHuge(outgoing: ServerResponse, parts: readonly string[]): void {
		const filler = Buffer.from(`: ${"x".repeat(64 * 1024)}\n\n`);
		let left = hugeAnswerBytes;
		const more = () => {
			while (left > 0) {
				left -= filler.length;
				if (!outgoing.write(filler)) {
					outgoing.once("drain", more);
					return;
				}
			}
			for (const part of parts) outgoing.write(part);
			outgoing.end();
		};
		more();
	}

	async function writeByteByByte(outgoing: ServerResponse, text: string): Promise<void> {
		for (const byte of Buffer.from(text)) {
			write(outgoing, Buffer.of(byte));
			await new Promise<void>((resolve) => setImmediate(resolve));
		}
		outgoing.end();
	}

	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const stop = () =>
		new Promise<void>((resolve) => {
			server.close(() => resolve());
			server.closeAllConnections();
		});
	return {
		origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		requests,
		lastBody: () => Buffer.concat(written),
		open: () => open.size,
		nextAbandoned: () => new Promise((resolve) => abandonedWaiters.push(resolve)),
		release() {
			for (const end of slow) end();
			slow.clear();
		},
		stop,
		[Symbol.asyncDispose]: stop,
	};
}

const refusals: Readonly<Record<string, { status: number; body: unknown; headers?: Record<string, string> }>> = {
	"401": {
		status: 401,
		body: { error: { message: "Incorrect API key provided: sk-real-secret", type: "invalid_request_error" } },
		headers: { "www-authenticate": "Bearer" },
	},
	"429": {
		status: 429,
		body: { type: "error", error: { type: "rate_limit_error", message: "slow down" } },
		headers: { "retry-after": "7" },
	},
	"500": { status: 500, body: { error: { message: "the fake is broken" } } },
	redirect: { status: 302, body: "", headers: { location: "http://169.254.169.254/latest/meta-data" } },
};

/** Google's clients read the status from the body. */
function googleError({ status, body }: { status: number; body: any }): unknown {
	return { error: { ...body.error, code: status } };
}

const hostileHeaders = {
	"set-cookie": "__Host-warren=stolen; Path=/; Secure",
	"content-security-policy": "default-src *",
	"access-control-allow-origin": "*",
	"openai-organization": "org-secret",
	server: "fake/1.0",
};

function formatOf(path: string): Format | null {
	if (path.endsWith("/chat/completions")) return "openai-chat";
	if (path.endsWith("/responses")) return "openai-responses";
	if (path.endsWith("/messages")) return "anthropic";
	if (/:(streamG|g)enerateContent$/.test(path)) return "gemini";
	if (path === "/api/chat") return "ollama";
	return null;
}

function modelOf(request: SeenRequest, path: string): string {
	return /\/models\/([^/:]+):/.exec(path)?.[1] ?? (request.json?.model as string | undefined) ?? "unnamed";
}

function listOf(path: string): unknown {
	if (path.startsWith("/v1beta"))
		return { models: [{ name: "models/gemini-fake", supportedGenerationMethods: ["generateContent"] }] };
	if (path === "/api/tags") return { models: [{ name: "llama-fake:latest" }] };
	return {
		object: "list",
		data: [
			{ id: "fake-large", object: "model" },
			{ id: "fake-small", object: "model" },
		],
	};
}

function parse(body: Buffer): unknown {
	try {
		return JSON.parse(body.toString("utf8"));
	} catch {
		// Forms and audio: looked at as bytes.
		return null;
	}
}
