import { currentTraceparent } from "@warren/net";
import { Agent, request } from "undici";
import { z } from "zod";
import { accountsError } from "../errors.ts";
import { type AskHub, sessionAnswerSchema } from "../session-client.ts";
import { hubUnreachable } from "./hub-unreachable.ts";

export const hubRequestLimits = {
	connectTimeoutMs: 5_000,
	answerTimeoutMs: 15_000,
	maxAnswerBytes: 8 * 1024 * 1024,
} as const;

const refusalSchema = z.object({
	error: z.string().max(100),
	message: z.string().max(1000),
	fix: z.string().max(1000).optional(),
});

export interface HubAnswer {
	readonly status: number;
	readonly etag: string | null;
	readonly body: unknown;
}

/** HTTP to one hub: its CA and no other, nothing followed, everything bounded. */
export class HubRequests {
	readonly #origin: string;
	readonly #agent: Agent;

	/** @param ca PEM, the warren's; null = the hub's certificate is of a public CA, or it is plain HTTP on loopback. */
	constructor(hubUrl: string, ca: string | null) {
		this.#origin = new URL(hubUrl).origin;
		this.#agent = new Agent({
			connect: { timeout: hubRequestLimits.connectTimeoutMs, ...(ca === null ? {} : { ca }) },
			headersTimeout: hubRequestLimits.answerTimeoutMs,
			bodyTimeout: hubRequestLimits.answerTimeoutMs,
			maxResponseSize: hubRequestLimits.maxAnswerBytes,
		});
	}

	/** @throws WarrenError `hub_unreachable`: no answer, or none of a hub. */
	async send(
		method: "GET" | "POST" | "PUT",
		path: string,
		more: {
			readonly token?: string;
			readonly body?: unknown;
			readonly etag?: string;
			readonly signal?: AbortSignal;
		} = {},
	): Promise<HubAnswer> {
		const traceparent = currentTraceparent();
		try {
			const answer = await request(`${this.#origin}${path}`, {
				method,
				dispatcher: this.#agent,
				headers: {
					accept: "application/json",
					...(traceparent === undefined ? {} : { traceparent }),
					...(more.token === undefined ? {} : { authorization: `Bearer ${more.token}` }),
					...(more.etag === undefined ? {} : { "if-none-match": more.etag }),
					...(more.body === undefined ? {} : { "content-type": "application/json" }),
				},
				...(more.body === undefined ? {} : { body: JSON.stringify(more.body) }),
				...(more.signal === undefined ? {} : { signal: more.signal }),
			});
			const text = await answer.body.text();
			const { etag } = answer.headers;
			return {
				status: answer.statusCode,
				etag: typeof etag === "string" ? etag : null,
				body: text === "" ? null : (JSON.parse(text) as unknown),
			};
		} catch (cause) {
			throw hubUnreachable(this.#origin, cause);
		}
	}

	/** The body, when the hub agreed. @throws WarrenError `hub_unreachable`, `hub_refused` with the hub's own words. */
	async ask<S extends z.ZodType>(schema: S, ...args: Parameters<HubRequests["send"]>): Promise<z.infer<S>> {
		const { status, body } = await this.send(...args);
		if (status >= 200 && status < 300) {
			const parsed = schema.safeParse(body);
			if (parsed.success) return parsed.data;
			throw accountsError("hub_refused", `The hub at ${this.#origin} answers in a way that is not known here.`, {
				fix: "Bring both machines to the same version.",
			});
		}
		const said = refusalSchema.safeParse(body).data;
		throw accountsError("hub_refused", `The hub refused (${status}): ${said?.message ?? "no reason given"}`, {
			...(said?.fix === undefined ? {} : { fix: said.fix }),
			details: { hubStatus: status, hubError: said?.error ?? "" },
		});
	}

	/** For `SessionClient`: a definite no only when the hub itself said 401. */
	askSession: AskHub = async (token) => {
		try {
			const { status, body } = await this.send("GET", "/auth/session", { token });
			if (status === 401) return { kind: "invalid" };
			const parsed = status === 200 ? sessionAnswerSchema.safeParse(body) : null;
			return parsed?.success ? { kind: "valid", answer: parsed.data } : { kind: "unreachable" };
		} catch {
			// Whatever stands between here and the hub is no verdict about a session.
			return { kind: "unreachable" };
		}
	};

	async close(): Promise<void> {
		await this.#agent.destroy();
	}
}
