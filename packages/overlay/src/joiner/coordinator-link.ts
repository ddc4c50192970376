import { X509Certificate } from "node:crypto";
import { type Clock, messageOf, WarrenError } from "@warren/kernel";
import { type DialResult, dialWebSocket } from "@warren/net";
import { Agent, request } from "undici";
import { overlayError } from "../errors.ts";
import { EventReader, type StreamEvent } from "../protocol/sse.ts";

export interface LinkTls {
	/** The only CA that is trusted: the system's count for nothing here. */
	readonly ca: string;
	readonly cert: string;
	readonly key: string;
}

export const linkLimits = {
	connectMs: 5_000,
	answerMs: 15_000,
	/** Three of the stream's keepalives. */
	streamSilenceMs: 45_000,
	maxAnswerBytes: 64 * 1024 * 1024,
} as const;

/** The coordinators of one overlay: the one that answers, and the next when it does not. */
export class CoordinatorLink {
	readonly #urls: readonly string[];
	#tls: LinkTls | null;
	readonly #clock: Clock;
	#agent: Agent;
	/** With certificates from before, until what goes on over them has ended. */
	readonly #earlier = new Set<Agent>();
	#at = 0;

	/** @param urls tried in turn. @param tls null = insecure. */
	constructor(urls: readonly string[], tls: LinkTls | null, clock: Clock) {
		this.#urls = urls;
		this.#tls = tls;
		this.#clock = clock;
		this.#agent = agentWith(tls);
	}

	/** null = insecure. */
	get tls(): LinkTls | null {
		return this.#tls;
	}

	get ca(): string | null {
		return this.#tls?.ca ?? null;
	}

	/** From the next connection on; what is open stays. */
	useTls(tls: LinkTls): void {
		const before = this.#agent;
		this.#tls = tls;
		this.#agent = agentWith(tls);
		this.#earlier.add(before);
		void before.close().finally(() => this.#earlier.delete(before));
	}

	get url(): string {
		return this.#urls[this.#at] as string;
	}

	get hasOthers(): boolean {
		return this.#urls.length > 1;
	}

	/** Not the first that was named. */
	get isSpare(): boolean {
		return this.#at > 0;
	}

	/** The next one, after a failure of `failed`; nothing when another is asked already. */
	next(failed: string): void {
		if (failed === this.url) this.#at = (this.#at + 1) % this.#urls.length;
	}

	/**
	 * Turns to one that was named earlier, where one answers again: machines that ask different ones do not see each
	 * other, so all go back to the first that they can. @returns whether it did.
	 */
	async returnToEarlier(signal: AbortSignal): Promise<boolean> {
		for (let at = 0; at < this.#at; at++) {
			const { statusCode } = await this.#ask("GET", "/api/health", undefined, signal, this.#urls[at]).catch(() => ({
				statusCode: 0,
			}));
			if (statusCode !== 200 || at >= this.#at) continue;
			this.#at = at;
			return true;
		}
		return false;
	}

	/** @throws WarrenError as the coordinator answered (its status kept), or `coordinator_away`. */
	async call<T>(method: "GET" | "POST", path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
		const { statusCode, text } = await this.#ask(method, path, body, signal);
		if (statusCode < 300) return (text === "" ? null : this.#json(text)) as T;
		const refusal = this.#json(text) as { error?: unknown; message?: unknown; fix?: unknown };
		const { error, message, fix } = refusal;
		throw new WarrenError(
			typeof error === "string" ? error : "refused",
			`The coordinator at ${this.url} refuses: ${typeof message === "string" ? message.slice(0, 500) : `status ${statusCode}`}`,
			{
				status: statusCode,
				retryable: statusCode >= 500 || statusCode === 429,
				...(typeof fix === "string" ? { fix: fix.slice(0, 500) } : {}),
			},
		);
	}

	/** Calls `onEvent` with each event until the stream ends, is silent for too long, or `signal` aborts. @throws WarrenError. */
	async stream(
		path: string,
		after: string | null,
		onEvent: (event: StreamEvent) => void,
		signal: AbortSignal,
	): Promise<void> {
		let answer: Awaited<ReturnType<typeof request>>;
		try {
			answer = await request(new URL(path, this.url), {
				dispatcher: this.#agent,
				headers: { accept: "text/event-stream", ...(after === null ? {} : { "last-event-id": after }) },
				bodyTimeout: linkLimits.streamSilenceMs,
				signal,
			});
		} catch (cause) {
			throw this.#away(cause);
		}
		if (answer.statusCode !== 200) {
			await answer.body.dump();
			throw new WarrenError("refused", `The coordinator at ${this.url} answers ${answer.statusCode} to the stream.`, {
				status: answer.statusCode,
			});
		}
		const reader = new EventReader();
		try {
			for await (const bytes of answer.body) for (const event of reader.push(bytes as Uint8Array)) onEvent(event);
		} catch (cause) {
			throw this.#away(cause);
		}
	}

	dialRelay(key: string, lane: "hi" | "lo", signal: AbortSignal): Promise<DialResult> {
		const url = new URL(
			`/v1/mesh/relay?pubkey=${Buffer.from(key, "base64").toString("base64url")}&lane=${lane}`,
			this.url.replace(/^http/, "ws"),
		);
		return dialWebSocket(url.href, this.#clock, {
			signal,
			...(this.#tls === null ? {} : { tls: { ...this.#tls, minVersion: "TLSv1.3" as const } }),
		});
	}

	async close(): Promise<void> {
		await Promise.all([this.#agent, ...this.#earlier].map((agent) => agent.destroy()));
	}

	async #ask(
		method: "GET" | "POST",
		path: string,
		body: unknown,
		signal: AbortSignal | undefined,
		url = this.url,
	): Promise<{ statusCode: number; text: string }> {
		try {
			const answer = await request(new URL(path, url), {
				method,
				dispatcher: this.#agent,
				headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }) },
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
				...(signal === undefined ? {} : { signal }),
			});
			const parts: Uint8Array[] = [];
			let size = 0;
			for await (const part of answer.body) {
				size += (part as Uint8Array).length;
				if (size > linkLimits.maxAnswerBytes)
					throw new Error(`it answered more than ${linkLimits.maxAnswerBytes} bytes`);
				parts.push(part as Uint8Array);
			}
			return { statusCode: answer.statusCode, text: Buffer.concat(parts).toString("utf8") };
		} catch (cause) {
			throw this.#away(cause);
		}
	}

	#json(text: string): unknown {
		try {
			return JSON.parse(text);
		} catch (cause) {
			throw this.#away(cause);
		}
	}

	#away(cause: unknown): WarrenError {
		// Whoever is refused for it only sees the connection end.
		const untimely = this.#tls === null ? null : untimelyIn(this.#tls.cert, this.#clock.now());
		if (untimely !== null)
			return overlayError("coordinator_away", `The coordinator at ${this.url} lets nobody in: ${untimely}.`, {
				fix: "Renew the certificate (warren ca issue-peer), or set this host's clock.",
				cause,
			});
		return overlayError("coordinator_away", `The coordinator at ${this.url} cannot be asked: ${messageOf(cause)}.`, {
			fix: "Check --coordinator, the certificate files and the network.",
			cause,
		});
	}
}

/** Why a certificate is not good now, or null. */
function untimelyIn(cert: string, now: number): string | null {
	let certificate: X509Certificate;
	try {
		certificate = new X509Certificate(cert);
	} catch {
		// What is no certificate is the cause's own matter.
		return null;
	}
	const { validFrom, validTo } = certificate;
	const clock = `this host's clock says ${new Date(now).toISOString()}`;
	if (now > Date.parse(validTo)) return `this machine's certificate ended on ${validTo}, and ${clock}`;
	return now < Date.parse(validFrom) ? `this machine's certificate begins on ${validFrom}, and ${clock}` : null;
}

function agentWith(tls: LinkTls | null): Agent {
	return new Agent({
		connect: { timeout: linkLimits.connectMs, ...(tls === null ? {} : { ...tls, minVersion: "TLSv1.3" as const }) },
		headersTimeout: linkLimits.answerMs,
		bodyTimeout: linkLimits.answerMs,
	});
}
