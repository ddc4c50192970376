/**
 * Documents: the Yjs relay of hub and sidecar, its log, the list of documents, discovery, and the link between two
 * relays. Knows nothing of accounts: who somebody is comes as an `Identity`.
 */
export { syncConditions } from "./conditions.ts";
export { type Advertised, type DeviceState, discoveryRoomId, type UrlClaim } from "./discovery/device-state.ts";
export { DiscoveryAccess, discoveryRoomOf } from "./discovery/discovery-access.ts";
export { DiscoveryView, type PresentDevice } from "./discovery/discovery-view.ts";
export { ListNews, type ListNewsDeps } from "./discovery/list-news.ts";
export { OwnPresence, type OwnPresenceDeps } from "./discovery/own-presence.ts";
export type { DocumentContents, DocumentFacts } from "./documents/document-contents.ts";
export {
	type DocumentAccess,
	type DocumentRecord,
	type DocumentShare,
	DocumentsList,
	type DocumentsListDeps,
	documentLimits,
} from "./documents/documents-list.ts";
export { DocumentHistory } from "./documents/history.ts";
export { LastChanged } from "./documents/last-changed.ts";
export type { RoomAccess, RoomPermit } from "./documents/room-access.ts";
export { isRoomId } from "./documents/room-id.ts";
export { type SyncTables, syncSchema } from "./documents/schema.ts";
export { syncError } from "./errors.ts";
export { DiscoveryAdvert, type DiscoveryAdvertDeps } from "./link/discovery-advert.ts";
export { httpHubDocuments } from "./link/http-hub-documents.ts";
export type { HubEndpoint } from "./link/hub-endpoint.ts";
export { type HubDocuments, HubSync, type HubSyncDeps, type HubSyncStatus } from "./link/hub-sync.ts";
export { HubTransport } from "./link/hub-transport.ts";
export { type LinkState, UpstreamLink, type UpstreamLinkDeps } from "./link/upstream-link.ts";
export { PostgresUpdateLog } from "./log/postgres-update-log.ts";
export { syncLogSchema } from "./log/schema.ts";
export { SqliteUpdateLog } from "./log/sqlite-update-log.ts";
export type { Checkpoint, UpdateLog } from "./log/update-log.ts";
export { Outgoing } from "./relay/outgoing.ts";
export { type Attendance, SyncRelay, type SyncRelayOptions } from "./relay/sync-relay.ts";
export { closeReason, type SyncSocket } from "./relay/sync-socket.ts";
export type { SyncRoutesDeps, SyncRoutesOptions } from "./routes/exchange.ts";
export { closeAfterAccessChange } from "./routes/share-routes.ts";
export { memberFor } from "./routes/socket-routes.ts";
export { documentRoutes, syncRoutes } from "./routes/sync-routes.ts";
export { AccessFeed, type AccessFeedDeps } from "./shared/access-feed.ts";
export { RoomExchange, type RoomExchangeDeps } from "./shared/room-exchange.ts";
export type { DocumentWork, JobOutcome } from "./worker/document-work.ts";
export { Documents } from "./worker/documents.ts";
export { InlineDocuments } from "./worker/inline-documents.ts";
