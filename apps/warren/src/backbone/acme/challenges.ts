import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Certificates } from "@warren/backbone";
import type { Closeable } from "@warren/kernel";
import { run } from "@warren/net";
import { acmeError } from "./errors.ts";

/** One way of proving to the certificate authority that a name is ours. */
export interface ChallengeSolver {
	readonly type: "tls-alpn-01" | "http-01" | "dns-01";
	/** Resolves once the authority may look. @param keyAuthorization as RFC 8555 §8.1 has it, digested for DNS. */
	put(name: string, token: string, keyAuthorization: string): Promise<void>;
	remove(name: string, token: string, keyAuthorization: string): Promise<void>;
}

const alpnCertificate = async (name: string, keyAuthorization: string) => {
	const acme = await import("acme-client");
	// All that it reads of an authorization.
	const authorization = { identifier: { type: "dns", value: name } } as Parameters<
		typeof acme.crypto.createAlpnCertificate
	>[0];
	const [key, cert] = await acme.crypto.createAlpnCertificate(authorization, keyAuthorization);
	return { cert: cert.toString(), key: key.toString() };
};

/** On the backbone's own port, which the name's port 443 must lead to (RFC 8737). */
export function alpnSolver(certificates: Certificates): ChallengeSolver {
	return {
		type: "tls-alpn-01",
		async put(name, _token, keyAuthorization) {
			certificates.setChallenge(name, await alpnCertificate(name, keyAuthorization));
		},
		async remove(name) {
			certificates.setChallenge(name, null);
		},
	};
}

const challengePath = "/.well-known/acme-challenge/";

/** A port of its own that says nothing else, which the names' port 80 must lead to. */
export class HttpSolver implements ChallengeSolver, Closeable {
	readonly type = "http-01";
	readonly #answers = new Map<string, string>();
	readonly #server = createServer({ maxHeaderSize: 8192, requestTimeout: 10_000 }, (request, response) => {
		const url = request.url ?? "";
		const answer = url.startsWith(challengePath) ? this.#answers.get(url.slice(challengePath.length)) : undefined;
		response.writeHead(answer === undefined ? 404 : 200, { "content-type": "text/plain", connection: "close" });
		response.end(answer ?? "");
	});

	/** @throws NodeJS.ErrnoException */
	static async open(host: string | undefined, port: number): Promise<HttpSolver> {
		const solver = new HttpSolver();
		await new Promise<void>((resolve, reject) => {
			solver.#server.once("error", reject);
			solver.#server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
		});
		// A connection that the system could not hand over: the next one may be.
		solver.#server.on("error", () => {});
		return solver;
	}

	get port(): number {
		return (this.#server.address() as AddressInfo).port;
	}

	async put(_name: string, token: string, keyAuthorization: string): Promise<void> {
		this.#answers.set(token, keyAuthorization);
	}

	async remove(_name: string, token: string): Promise<void> {
		this.#answers.delete(token);
	}

	close(): Promise<void> {
		return new Promise((resolve) => {
			this.#server.close(() => resolve());
			this.#server.closeAllConnections();
		});
	}
}

/** How long a hook may take: some wait until every name server knows. */
const hookTimeoutMs = 10 * 60_000;
const maxHookOutputBytes = 64 * 1024;

/** A program of the operator's: `PROGRAM present|remove RECORD VALUE` sets and removes a TXT record. */
export function dnsSolver(program: string): ChallengeSolver {
	/** One call after the other: an operator's program need not stand two of itself. */
	let turn: Promise<unknown> = Promise.resolve();
	const call = (verb: "present" | "remove", name: string, value: string): Promise<void> => {
		const next = turn.then(() => once(verb, name, value));
		turn = next.catch(() => {});
		return next;
	};
	const once = async (verb: "present" | "remove", name: string, value: string) => {
		const record = `_acme-challenge.${name}`;
		const result = await run(program, [verb, record, value], {
			timeoutMs: hookTimeoutMs,
			maxOutputBytes: maxHookOutputBytes,
		});
		if (result.outcome === "exited" && result.code === 0) return;
		const why =
			result.outcome === "exited"
				? `it ended with ${result.code}: ${result.stderr.trim().slice(-200)}`
				: result.message;
		throw acmeError("hook_failed", `${program} ${verb} ${record} failed: ${why}.`, {
			fix: "Run it by hand with these arguments; it must end with 0 once the record is to be seen.",
		});
	};
	return {
		type: "dns-01",
		put: (name, _token, value) => call("present", name, value),
		remove: (name, _token, value) => call("remove", name, value),
	};
}
