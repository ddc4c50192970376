import { type ClientHttp2Session, connect } from "node:http2";
import { ResetCode } from "../../protocol/frames.ts";
import { LinkDuplex } from "../../tunnel/link-duplex.ts";
import type { Agent } from "../agents/agent.ts";
import type { AgentPool } from "../agents/agent-pool.ts";
import { takeLink } from "../stream-ports.ts";

export const upstreamLimits = {
	/** Streams on one connection to a target, or fewer when it says so. */
	maxStreams: 100,
	windowBytes: 1024 * 1024,
	sessionWindowBytes: 16 * 1024 * 1024,
	headerListBytes: 64 * 1024,
	/** A target that has said nothing of HTTP/2 by then does not speak it. */
	settingsTimeoutMs: 10_000,
} as const;

/** One HTTP/2 connection to a target, on a link of its agent. */
export interface Upstream {
	readonly session: ClientHttp2Session;
	readonly agent: Agent;
	streams: number;
	/** In turn among equals. */
	turn: number;
}

/** Connections to the targets of services of kind `h2`: shared by many clients, spread over the agents. */
export class Upstreams {
	readonly #pool: AgentPool;
	#turn = 0;
	readonly #byService = new Map<string, Upstream[]>();

	constructor(pool: AgentPool) {
		this.#pool = pool;
	}

	/**
	 * A connection with room for one more stream, which is counted already.
	 * @param avoid failed this very request. @param traceparent of the request, for a connection that is made for it.
	 */
	async take(service: string, avoid: Agent | null = null, traceparent?: string): Promise<Upstream | null> {
		const list = this.#byService.get(service) ?? [];
		this.#byService.set(service, list);
		const room = list
			.filter((each) => each.agent !== avoid && each.streams < roomOf(each) && !each.agent.draining && isUp(each))
			.sort((a, b) => load(a) - load(b) || a.turn - b.turn)[0];
		const working = this.#pool.of(service).agents.filter(({ healthy }) => healthy).length;
		// One connection an agent first, so that all of them work.
		if (room !== undefined && list.length >= working) return this.#counted(room);
		const opened = await this.#open(service, list, traceparent);
		if (opened !== null) return opened;
		return room === undefined || !isUp(room) ? null : this.#counted(room);
	}

	#counted(upstream: Upstream): Upstream {
		upstream.streams += 1;
		upstream.turn = ++this.#turn;
		return upstream;
	}

	close(): void {
		for (const list of this.#byService.values()) for (const { session } of [...list]) session.destroy();
	}

	#open(service: string, list: Upstream[], traceparent: string | undefined): Promise<Upstream | null> {
		return new Promise((resolve) => {
			takeLink(this.#pool, service, (lease) => {
				if (lease === null) return resolve(null);
				const duplex = new LinkDuplex(lease.link, (code) => {
					if (code === ResetCode.refused || code === ResetCode.timeout) lease.agent.refusals += 1;
				});
				lease.link.open({ kind: "h2", ...(traceparent === undefined ? {} : { traceparent }) }, duplex);
				const session = connect("http://target.invalid", {
					createConnection: () => duplex,
					maxHeaderListPairs: 200,
					settings: {
						initialWindowSize: upstreamLimits.windowBytes,
						maxHeaderListSize: upstreamLimits.headerListBytes,
						enablePush: false,
					},
				});
				session.once("connect", () => session.setLocalWindowSize(upstreamLimits.sessionWindowBytes));
				session.setTimeout(upstreamLimits.settingsTimeoutMs, () =>
					session.destroy(new Error("it does not speak HTTP/2")),
				);
				session.once("remoteSettings", () => {
					session.setTimeout(0);
					lease.agent.refusals = 0;
				});
				const upstream: Upstream = { session, agent: lease.agent, streams: 1, turn: ++this.#turn };
				list.push(upstream);
				const gone = () => {
					const at = list.indexOf(upstream);
					if (at !== -1) list.splice(at, 1);
				};
				session.on("error", gone);
				session.on("goaway", gone);
				session.on("close", gone);
				resolve(upstream);
			});
		});
	}
}

function isUp({ session }: Upstream): boolean {
	return !session.closed && !session.destroyed;
}

function roomOf({ session }: Upstream): number {
	return Math.min(upstreamLimits.maxStreams, session.remoteSettings?.maxConcurrentStreams ?? upstreamLimits.maxStreams);
}

function load({ streams, agent }: Upstream): number {
	return streams + (agent.healthy ? 0 : 1_000_000);
}
