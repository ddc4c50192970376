import { Agent, type Dispatcher } from "undici";
import { aiLimits } from "../limits.ts";
import type { Upstream } from "./upstream.ts";

/** Kept connections to the providers, one pool an origin; redirects are nobody's to follow. */
export class UpstreamPools implements Upstream {
	readonly #agent = new Agent({
		connect: { timeout: aiLimits.connectMs },
		connections: aiLimits.maxConnectionsPerOrigin,
		pipelining: 1,
		keepAliveTimeout: aiLimits.keepAliveMs,
		headersTimeout: aiLimits.firstByteMs,
		bodyTimeout: aiLimits.idleMs,
	});

	dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
		return this.#agent.dispatch(options, handler);
	}

	close(): Promise<void> {
		return this.#agent.destroy();
	}
}
