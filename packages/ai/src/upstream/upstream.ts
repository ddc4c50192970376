import type { Closeable } from "@warren/kernel";
import type { Dispatcher } from "undici";

/**
 * The way to the providers: undici's dispatch, whose handler sees heads and bytes as they come and can hold them back.
 * Pooled connections where there are sockets (`UpstreamPools`), Fetch where there is nothing else (`FetchUpstream`).
 */
export interface Upstream extends Closeable {
	dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean;
}

/** What undici calls a head that did not come in time. */
export const headTimeoutCode = "UND_ERR_HEADERS_TIMEOUT";
