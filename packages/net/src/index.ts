/**
 * The I/O edge: HTTP listeners and routes, WebSockets, TLS and the warren's CA, processes, logs, metrics. Knows nothing
 * of any domain.
 */
export { FetchListener, type FetchListenerDeps, type FetchListenerOptions, switching } from "./fetch/fetch-listener.ts";
export type { WorkerSocket } from "./fetch/paired-socket.ts";
export { ClientAddress } from "./http/client-address.ts";
export { parseCredential, readCookie, setupHeader, webSocketProtocol } from "./http/credentials.ts";
export { canonicalHost, HostTable, parseHost } from "./http/host-table.ts";
export { Listener } from "./http/listener.ts";
export { type ListenerDeps, type ListenerOptions, listenerLimits, type TlsIdentity } from "./http/listener-options.ts";
export { certificateSchemes, describedRoutes, type OpenApiFacts, openApiOf, templateOf } from "./http/openapi.ts";
export { closeCodeFor } from "./http/pending-upgrade.ts";
export { plainPage, plainPageHeaders } from "./http/plain-page.ts";
export { withBody } from "./http/request-context.ts";
export { currentTraceparent } from "./http/request-span.ts";
export {
	asWarrenError,
	dataHeaders,
	errorResponse,
	faultLine,
	httpError,
	refusal,
	writeError,
} from "./http/responses.ts";
export type {
	ForwardRoute,
	HandleRoute,
	Method,
	RequestContext,
	Route,
	RouteAbout,
	StreamRoute,
	TokenPlaces,
	Upgrade,
	WebSocketRoute,
} from "./http/route.ts";
export { type Match, Router } from "./http/router.ts";
export { StaticFiles } from "./http/static-files.ts";
export { createLogger, type LoggingOptions } from "./logging.ts";
export { Metrics } from "./metrics.ts";
export { countBuffersAsHeap } from "./process/collector.ts";
export { MemoryTrim } from "./process/memory-trim.ts";
export { type RunOptions, type RunResult, run } from "./process/run.ts";
export {
	authorityLimits,
	type CertifiedKey,
	certificateError,
	certificatesIn,
	type LeafRequest,
	nodeIdOf,
} from "./tls/certificates.ts";
export { fingerprintOf, fingerprintOfPem, parseFingerprint } from "./tls/fingerprint.ts";
export { Authority, createCsr, readRevocationList } from "./tls/lazy-authority.ts";
export { type AcceptOptions, type SendOutcome, WebSocketConnection, webSocketLimits } from "./websocket/connection.ts";
export { type DialOptions, type DialResult, dialWebSocket } from "./websocket/dial.ts";
export { EventFeed, feedLimits } from "./websocket/event-feed.ts";
export { encodeFragments, encodeFrame, type Frame } from "./websocket/frame.ts";
export {
	spliceLimits,
	spliceUpgrade,
	type UpstreamAnswer,
	type UpstreamRequest,
	upgradeUpstream,
} from "./websocket/splice.ts";
export { TextSocket, TextSockets, type TextSocketsOptions, textSocketLimits } from "./websocket/text-sockets.ts";
