/** Names that those also know who do not load the library. */
export const basePath = "/auth";
/** Carries the client's address to the library; overwritten on every request, so that nobody sets it. */
export const addressHeader = "x-warren-client-address";
export const apiKeyPrefix = "wk_";
