import type { Closeable } from "@warren/kernel";
import { Agent } from "undici";
import { aiLimits } from "../limits.ts";

/** Kept connections to the providers, one pool an origin; redirects are nobody's to follow. */
export class UpstreamPools implements Closeable {
	readonly agent = new Agent({
		connect: { timeout: aiLimits.connectMs },
		connections: aiLimits.maxConnectionsPerOrigin,
		pipelining: 1,
		keepAliveTimeout: aiLimits.keepAliveMs,
		headersTimeout: aiLimits.firstByteMs,
		bodyTimeout: aiLimits.idleMs,
	});

	close(): Promise<void> {
		return this.agent.destroy();
	}
}
