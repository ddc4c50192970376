import { readFileSync } from "node:fs";
import { defineErrors, messageOf, WarrenError } from "@warren/kernel";
import { Agent, request } from "undici";

const clientError = defineErrors({ bad_config: { status: 400 }, not_running: { status: 503 } });

export interface CoordinatorClientFlags {
	readonly coordinator?: string;
	readonly tlsCert?: string;
	readonly tlsKey?: string;
	readonly tlsCa?: string;
}

/** An administrator's connection to a coordinator: its certificate opens the port, its token the routes. */
export class CoordinatorClient {
	readonly #url: string;
	readonly #agent: Agent;
	readonly #token: string;

	constructor(url: string, agent: Agent, token: string) {
		this.#url = url;
		this.#agent = agent;
		this.#token = token;
	}

	async call<T>(method: "GET" | "POST" | "DELETE", path: string): Promise<T> {
		const { text } = await this.text(method, path);
		return (text === "" ? null : JSON.parse(text)) as T;
	}

	/** @throws WarrenError as the coordinator answered, or `not_running`. */
	async text(
		method: "GET" | "POST" | "PUT" | "DELETE",
		path: string,
		body?: string,
		headers: Readonly<Record<string, string>> = {},
	): Promise<{ text: string; etag: string }> {
		const answer = await request(new URL(path, this.#url), {
			method,
			dispatcher: this.#agent,
			headers: { authorization: `Bearer ${this.#token}`, accept: "application/json", ...headers },
			...(body === undefined ? {} : { body }),
		}).catch((cause: unknown) => {
			throw clientError("not_running", `The coordinator at ${this.#url} does not answer: ${messageOf(cause)}.`, {
				fix: "Check --coordinator and the certificate files.",
				cause,
			});
		});
		const text = await answer.body.text();
		if (answer.statusCode < 400) return { text, etag: String(answer.headers["etag"] ?? "") };
		const { error, message, fix } = JSON.parse(text) as { error: string; message: string; fix?: string };
		throw new WarrenError(error, message, { status: answer.statusCode, ...(fix === undefined ? {} : { fix }) });
	}
}

export async function withCoordinator(
	flags: CoordinatorClientFlags,
	action: (client: CoordinatorClient) => Promise<void>,
): Promise<void> {
	const url = flags.coordinator ?? process.env["WARREN_COORDINATOR"] ?? process.env["TABBIFY_MESH_COORDINATOR"];
	const token = process.env["WARREN_ADMIN_TOKEN"];
	if (url === undefined)
		throw clientError("bad_config", "Which coordinator is not said.", {
			fix: "Give --coordinator URL, or set WARREN_COORDINATOR.",
		});
	if (token === undefined)
		throw clientError("bad_config", "WARREN_ADMIN_TOKEN is not set.", {
			fix: "It is the coordinator's own, or in admin.token of its state folder.",
		});
	const file = (path: string | undefined) => (path === undefined ? undefined : readFileSync(path, "utf8"));
	const agent = new Agent({ connect: { ca: file(flags.tlsCa), cert: file(flags.tlsCert), key: file(flags.tlsKey) } });
	try {
		await action(new CoordinatorClient(url, agent, token));
	} finally {
		await agent.close();
	}
}
