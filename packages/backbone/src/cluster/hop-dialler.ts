import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { newSecret, type Random } from "@warren/kernel";
import { tunnelProtocol } from "../protocol/endpoint.ts";
import {
	hopChallengeHeader,
	hopHeader,
	hopPath,
	hopProofHeader,
	isHopProof,
	signHop,
} from "../protocol/hop-envelope.ts";
import type { NodeLease } from "./node-lease.ts";

export interface HopDiallerOptions {
	readonly random: Random;
	readonly key: Uint8Array;
	/** This node. */
	readonly from: string;
	/** What every node's certificate speaks for, and what its Host is. */
	readonly domain: string;
	/** PEM that the other nodes' certificates chain to; null = what the system trusts. */
	readonly ca: string | null;
}

/** A hop that stands; or why not. `gone`: the node answered that it has no such agent, or is another by now. */
export type Hop =
	| { readonly ok: true; readonly channel: Socket }
	| { readonly ok: false; readonly gone: boolean; readonly message: string };

const limits = { dialMs: 3_000, maxAnswerBytes: 8 * 1024, maxTries: 2 } as const;

/** Asks other nodes for links to their agents. */
export class HopDialler {
	readonly #options: HopDiallerOptions;
	/** By node and epoch: what it said last. */
	readonly #challenges = new Map<string, string>();

	constructor(options: HopDiallerOptions) {
		this.#options = options;
	}

	async dial(to: NodeLease, service: string): Promise<Hop> {
		for (let tries = 1; ; tries++) {
			const nonce = newSecret(this.#options.random);
			const answer = await this.#ask(to, service, nonce);
			if (!answer.ok) return answer;
			const { status, fields, socket, rest } = answer;
			const challenge = fields.get(hopChallengeHeader);
			if (challenge !== undefined) this.#challenges.set(to.node, challenge);
			if (status === 101 && isHopProof(this.#options.key, nonce, fields.get(hopProofHeader) ?? "")) {
				if (rest.length > 0) socket.unshift(rest);
				return { ok: true, channel: socket };
			}
			socket.destroy();
			if (status === 401 && challenge !== undefined && tries < limits.maxTries) continue;
			return {
				ok: false,
				gone: status === 409 || status === 503,
				message:
					status === 101
						? `node ${to.node} at ${to.url} does not hold the cluster's key`
						: `node ${to.node} answered ${status}`,
			};
		}
	}

	#connect(to: NodeLease): Socket {
		const url = new URL(to.url as string);
		const host = url.hostname.replace(/^\[|\]$/g, "");
		const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
		const { ca, domain } = this.#options;
		return url.protocol === "https:"
			? connectTls({ host, port, servername: domain, ALPNProtocols: ["http/1.1"], ...(ca === null ? {} : { ca }) })
			: connectTcp(port, host);
	}

	#ask(
		to: NodeLease,
		service: string,
		nonce: string,
	): Promise<
		| { ok: true; status: number; fields: Map<string, string>; socket: Socket; rest: Buffer }
		| { ok: false; gone: false; message: string }
	> {
		return new Promise((resolve) => {
			const socket = this.#connect(to);
			socket.setNoDelay(true);
			socket.setKeepAlive(true, 30_000);
			let seen = Buffer.alloc(0);
			const settle = () => {
				clearTimeout(late);
				socket.off("data", onData);
				socket.off("error", onError);
				socket.off("close", onClose);
			};
			const fail = (message: string) => {
				settle();
				socket.on("error", () => {});
				socket.destroy();
				resolve({ ok: false, gone: false, message: `node ${to.node} at ${to.url} cannot be reached: ${message}` });
			};
			const onError = (fault: Error) => fail(fault.message);
			const onClose = () => fail("the connection was closed");
			const late = setTimeout(() => fail(`no answer within ${limits.dialMs} ms`), limits.dialMs);
			const onData = (chunk: Buffer) => {
				seen = Buffer.concat([seen, chunk]);
				const end = seen.indexOf("\r\n\r\n");
				if (end === -1) {
					if (seen.length > limits.maxAnswerBytes) fail("its answer is not one of HTTP");
					return;
				}
				settle();
				socket.pause();
				const [first = "", ...lines] = seen.toString("latin1", 0, end).split("\r\n");
				const fields = new Map(
					lines.map((line) => {
						const colon = line.indexOf(":");
						return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
					}),
				);
				const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? 0);
				resolve({ ok: true, status, fields, socket, rest: seen.subarray(end + 4) });
			};
			socket.on("error", onError);
			socket.on("close", onClose);
			socket.on("data", onData);
			const envelope = signHop(this.#options.key, {
				hop: 1,
				from: this.#options.from,
				to: to.node,
				epoch: to.epoch,
				service,
				nonce,
				challenge: this.#challenges.get(to.node) ?? "",
			});
			socket.write(
				`GET ${hopPath}${service} HTTP/1.1\r\nHost: ${this.#options.domain}\r\nConnection: Upgrade\r\n` +
					`Upgrade: ${tunnelProtocol}\r\n${hopHeader}: ${envelope}\r\n\r\n`,
			);
		});
	}
}
