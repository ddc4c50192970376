/**
 * The backbone: a reverse tunnel with identity. Here live its server (public side, agents, API), its agent, and the
 * protocol between them; not its processes, files and flags, which apps/warren composes.
 */
export type { Transport } from "./agent/dial.ts";
export { Forwarder, type ForwarderOptions } from "./agent/forwarder.ts";
export { type AgentState, agentWindows, ServiceAgent, type ServiceAgentOptions } from "./agent/service-agent.ts";
export type { Target } from "./agent/target-stream.ts";
export { Visitor, type VisitorOptions } from "./agent/visitor.ts";
export { type Backbone, type BackboneDeps, type BackboneOptions, openBackbone } from "./backbone.ts";
export { standingNodes } from "./cluster/node-lease.ts";
export { type SharedSecret, SharedSecrets } from "./cluster/shared-secrets.ts";
export { sharedSigningKeys } from "./cluster/shared-signing-keys.ts";
export { SigningKey } from "./identity/signing-key.ts";
export type { SigningKeyStore, StoredSigningKey } from "./identity/signing-keys.ts";
export { type BackboneTables, backboneSchema } from "./schema.ts";
export { Certificates, type FrontTls } from "./server/certificates.ts";
export type { ServiceRow } from "./server/services.ts";
