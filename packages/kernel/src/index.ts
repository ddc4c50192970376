/**
 * What every package may use: identifiers, errors, identity, time, randomness, health, limits, and the interfaces that
 * two domains share. No I/O: nothing here opens a socket, a file or a process.
 */
export { adminAuthenticator } from "./admin-tokens.ts";
export { type Audit, type AuditEvent, type AuditQuery, type AuditRecord, auditAs } from "./audit.ts";
export { Backoff, type BackoffLimits } from "./backoff.ts";
export { type Clock, delay, systemClock, type Timer } from "./clock.ts";
export { type CloseCode, closeCodes, isPermanentClose } from "./close-codes.ts";
export { badRequest, parseConfig, parseRequest } from "./config.ts";
export { defineErrors, messageOf, unreachable, WarrenError, type WarrenErrorOptions } from "./errors.ts";
export type { EventSink, LiveEvent } from "./event-sink.ts";
export { evictOldest } from "./evict-oldest.ts";
export { ExpiringMap } from "./expiring-map.ts";
export type { FederatedIncoming, FederationClient, OutboxEntry, OutboxOutcome } from "./federation.ts";
export { type Condition, type ConditionKind, HealthTable, type Severity } from "./health.ts";
export {
	type AuthenticationContext,
	type Authenticator,
	type Credential,
	type CredentialKind,
	describeIdentity,
	firstOf,
	type Identity,
	type Verdict,
} from "./identity.ts";
export {
	type Brand,
	type DeviceId,
	type Fingerprint,
	type NodeId,
	newId,
	newSecret,
	type PeerId,
	type UserId,
} from "./ids.ts";
export { type Closeable, Lifetime } from "./lifetime.ts";
export { type LogFields, type Logger, silentLogger } from "./logger.ts";
export type {
	OverlayDevice,
	OverlayDeviceStatus,
	OverlayPeer,
	OverlayPeerStatus,
	OverlayRoute,
	OverlayRule,
	UdpEndpoint,
} from "./overlay-device.ts";
export type { PeerCandidate, PeerSource, PeerSourceError } from "./peer-source.ts";
export type { PeerTunnel } from "./peer-tunnel.ts";
export { type Random, systemRandom } from "./random.ts";
export { RateLimit, type RateLimits } from "./rate-limit.ts";
export { equalSecrets, hashToken } from "./secrets.ts";
export { isSmallOrder } from "./small-order.ts";
export {
	formatTraceparent,
	parseTraceparent,
	type Span,
	type SpanFacts,
	type TraceContext,
	type Tracer,
} from "./trace.ts";
