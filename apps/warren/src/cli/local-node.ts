import { defineErrors, messageOf, WarrenError } from "@warren/kernel";
import { Agent, request } from "undici";
import { localUrl, readConsole } from "../config/console-file.ts";
import { lookupOwn } from "../config/own-lookup.ts";
import { dataFolderOf } from "./data-folder-of.ts";

const localError = defineErrors({ not_running: { status: 503 } });

/** The node of this machine, as its commands reach it: where it listens, trusting its own CA. */
export class LocalNode {
	readonly url: string;
	readonly #token: string;
	readonly #agent: Agent;
	readonly #base: string;

	/** @throws WarrenError `not_running`. */
	constructor(dataPath: string) {
		const file = readConsole(dataPath);
		this.url = file.url;
		this.#token = file.token;
		this.#base = localUrl(file);
		// With certificate files of the operator's own there is no CA to check: it is this machine, and the token is this node's.
		this.#agent = new Agent({
			connect: { lookup: lookupOwn, ...(file.ca === null ? { rejectUnauthorized: false } : { ca: file.ca }) },
		});
	}

	/** @throws WarrenError as the node answered, or `not_running`. */
	async call<T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<T> {
		const answer = await request(`${this.#base}${path}`, {
			method,
			dispatcher: this.#agent,
			headers: {
				authorization: `Bearer ${this.#token}`,
				accept: "application/json",
				...(body === undefined ? {} : { "content-type": "application/json" }),
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		}).catch((cause: unknown) => {
			throw localError("not_running", `The node at ${this.#base} does not answer: ${messageOf(cause)}.`, {
				fix: "Start it with: warren up",
				cause,
			});
		});
		const text = await answer.body.text();
		const json: unknown = text === "" ? null : JSON.parse(text);
		if (answer.statusCode < 400) return json as T;
		const { error, message, fix } = json as { error: string; message: string; fix?: string };
		throw new WarrenError(error, message, { status: answer.statusCode, ...(fix === undefined ? {} : { fix }) });
	}

	close(): Promise<void> {
		return this.#agent.close();
	}
}

/** Runs a command against the local node and closes the connection after it. */
export async function withLocalNode<T>(
	flags: { readonly data?: string },
	action: (node: LocalNode) => Promise<T>,
): Promise<T> {
	const node = new LocalNode(dataFolderOf(flags));
	try {
		return await action(node);
	} finally {
		await node.close();
	}
}
