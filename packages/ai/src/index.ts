/**
 * AI on the hub: the providers' own APIs behind a session (`/proxy`), chat (`/ai/chat`), keys, usage and budgets. Keys
 * never leave this package but to their provider. The coding agent of a desktop is packages/sidecar.
 */
export { type Ai, type AiDeps, type AiOptions, openAi } from "./ai.ts";
export { KeyFile } from "./keys/key-file.ts";
export { readKeyVariables } from "./keys/provider-keys.ts";
export { readOrigins } from "./providers/origins.ts";
export { providerOf } from "./providers/provider-path.ts";
export { providerIds, providers } from "./providers/provider-table.ts";
export { type AiTables, aiSchema } from "./schema.ts";
export { FetchUpstream } from "./upstream/fetch-upstream.ts";
export type { Upstream } from "./upstream/upstream.ts";
export { UpstreamPools } from "./upstream/upstream-pools.ts";
