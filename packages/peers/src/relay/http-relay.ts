import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { messageOf, WarrenError } from "@warren/kernel";
import { type RequestContext, writeError } from "@warren/net";
import type { Dispatcher } from "undici";
import type { PeerDirectory } from "../directory.ts";
import { peerError } from "../errors.ts";
import type { KnownPeer } from "../known-peers.ts";
import {
	assertData,
	incomingHeaders,
	nextHop,
	outgoingHeaders,
	relayHeader,
	upstreamAuthorization,
} from "./isolation.ts";
import type { PeerPools } from "./pools.ts";

/** `/r/:peer/api/*`: streams a request to a peer and its answer back. Keeps nothing. */
export class HttpRelay {
	readonly #directory: PeerDirectory;
	readonly #pools: PeerPools;

	constructor(directory: PeerDirectory, pools: PeerPools) {
		this.#directory = directory;
		this.#pools = pools;
	}

	async relay(context: RequestContext, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
		try {
			await this.#relay(context, incoming, outgoing);
		} catch (thrown) {
			if (outgoing.destroyed) return;
			if (!(thrown instanceof WarrenError)) throw thrown;
			// The rest of a body that nobody wants would keep the connection busy for ever.
			if (!incoming.complete) outgoing.shouldKeepAlive = false;
			writeError(outgoing, thrown, { [relayHeader]: "1" });
		}
	}

	async #relay(context: RequestContext, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
		assertData(incoming.headers, "empty");
		const hops = nextHop(incoming.headers);
		const authorization = upstreamAuthorization(incoming.headers);
		const peer = await this.#directory.get(context.params["peer"] ?? "");
		const question = (incoming.url ?? "").indexOf("?");
		const hasBody =
			incoming.headers["content-length"] !== undefined || incoming.headers["transfer-encoding"] !== undefined;
		const ask = () =>
			this.#pools
				.of(peer)
				.request({
					path: `/api/${context.params["rest"] ?? ""}${question === -1 ? "" : (incoming.url as string).slice(question)}`,
					method: context.method as Dispatcher.HttpMethod,
					headers: { ...outgoingHeaders(incoming.headers, authorization, hops), host: this.#directory.hostOf(peer) },
					body: hasBody ? incoming : null,
					signal: context.signal,
				})
				.catch((fault: unknown) => {
					throw this.#upstreamError(peer, fault);
				});
		// What may have been done already is not done twice.
		const mayRepeat = !hasBody && (context.method === "GET" || context.method === "HEAD");
		if (!mayRepeat) await this.#directory.contact(peer);
		const answer = await (mayRepeat ? this.#directory.overPaths(peer, ask) : ask());
		// Destroying an unread body reports an error, and one that nobody listens to ends the process.
		answer.body.on("error", () => {});
		if (answer.statusCode >= 300 && answer.statusCode < 400 && answer.statusCode !== 304) {
			answer.body.destroy();
			throw peerError("upstream_error", `${peer.name} answered with a redirect, and the relay follows none.`, {
				details: { reason: "redirect" },
			});
		}
		try {
			outgoing.writeHead(answer.statusCode, incomingHeaders(answer.headers));
			// An event stream has no first byte for a while: its head must not wait for one.
			outgoing.flushHeaders();
			await pipeline(answer.body, outgoing);
		} catch {
			// Either side broke off in the middle: the other must see a broken connection, never a clean end.
			answer.body.destroy();
			outgoing.destroy();
		}
	}

	#upstreamError(peer: KnownPeer, fault: unknown): WarrenError {
		if (fault instanceof WarrenError) return fault;
		const code = (fault as { code?: string }).code;
		const reason =
			code === "ECONNREFUSED"
				? "refused"
				: code === "UND_ERR_CONNECT_TIMEOUT" || code === "UND_ERR_HEADERS_TIMEOUT"
					? "timeout"
					: "unreachable";
		const message = `${peer.name} does not answer: ${messageOf(fault)}.`;
		return this.#directory.away(peer, reason, message, "Is it on, and is Warren running there?", fault);
	}
}
