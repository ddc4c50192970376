import { defineErrors, messageOf, WarrenError } from "@warren/kernel";
import { Agent, request } from "undici";
import { lookupOwn } from "../config/own-lookup.ts";

const consoleError = defineErrors({ backbone_away: { status: 503, retryable: true } });
const answerTimeoutMs = 10_000;

/** Where the backbone of this machine is, and how it is administered. */
export interface ConsoleAddress {
	readonly url: string;
	/** PEM of what its certificate may chain to. */
	readonly ca: string;
	/** A secret. */
	readonly token: string;
}

/** One call of the backbone's admin API. @throws WarrenError as it answered, or `backbone_away`. */
export async function askBackbone<T>(
	{ url, ca, token }: ConsoleAddress,
	method: "GET" | "POST" | "PATCH" | "DELETE",
	path: string,
	body?: object,
): Promise<T> {
	const agent = new Agent({
		connect: { ca, lookup: lookupOwn },
		headersTimeout: answerTimeoutMs,
		bodyTimeout: answerTimeoutMs,
	});
	try {
		const answer = await request(`${url}${path}`, {
			method,
			dispatcher: agent,
			headers: {
				authorization: `Bearer ${token}`,
				accept: "application/json",
				...(body === undefined ? {} : { "content-type": "application/json" }),
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		const json = (await answer.body.json()) as Record<string, unknown>;
		if (answer.statusCode < 400) return json as T;
		const { error, message, fix } = json as { error: string; message: string; fix?: string };
		throw new WarrenError(error, message, { status: answer.statusCode, ...(fix === undefined ? {} : { fix }) });
	} catch (cause) {
		if (cause instanceof WarrenError) throw cause;
		throw consoleError("backbone_away", `The backbone at ${url} does not answer: ${messageOf(cause)}.`, {
			fix: "See how it is with: warren status",
			cause,
		});
	} finally {
		await agent.close();
	}
}
