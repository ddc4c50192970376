import { z } from "zod";

/** Bounds of what a joiner may send; field names are the wire's. */
export const bodyLimits = {
	maxApps: 256,
	maxTags: 32,
	maxCandidates: 8,
	maxPaths: 10_000,
	maxBodyBytes: 1024 * 1024,
} as const;

const name = z.string().trim().min(1).max(80);
const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$/, "must be a word of letters, digits and . _ : -");
const port = z.number().int().min(1).max(65535);
const endpoint = z.string().max(64);
const apps = z.array(z.string().max(64)).max(bodyLimits.maxApps);
const label = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be a DNS label in lower case");
/** By the app's address, spelled as in `hosted_app_ulas`. */
const appNames = z
	.record(z.string().max(64), label)
	.refine((names) => Object.keys(names).length <= bodyLimits.maxApps, `at most ${bodyLimits.maxApps}`)
	.default({});

export const registerBody = z.object({
	wg_public_key: z.string().max(128),
	listen_endpoint: endpoint.nullish(),
	wg_listen_port: port.nullish(),
	display_name: name,
	network: word.default("default"),
	tags: z.array(word).max(bodyLimits.maxTags).default([]),
	hosted_app_ulas: apps.default([]),
	hosted_app_names: appNames,
	kind: z.enum(["peer", "runner"]).default("peer"),
	parent: z.string().max(64).nullish(),
	app_uuid: z.uuid().nullish(),
	requested_ula: z.string().max(64).nullish(),
	software_version: z.string().max(64).nullish(),
	relay_only: z.boolean().default(false),
	/** The token itself; `Authorization: Bearer` does as well where no certificate is needed. */
	join_token: z.string().max(4096).nullish(),
	candidates: z.array(endpoint).max(bodyLimits.maxCandidates).default([]),
	nat: z.enum(["easy", "hard"]).nullish(),
});
export type RegisterBody = z.infer<typeof registerBody>;

const peerPath = z.object({
	peer_id: z.string().max(64),
	direct: z.boolean(),
	last_rx_age_ms: z.number().nonnegative().nullish(),
});

export const heartbeatBody = z.object({
	peer_id: z.string().max(64),
	listen_endpoint: endpoint.nullish(),
	wg_listen_port: port.nullish(),
	/** Replaced whole; absent = as before. */
	hosted_app_ulas: apps.nullish(),
	/** Of the apps that this very body names. */
	hosted_app_names: appNames,
	peer_paths: z.array(peerPath).max(bodyLimits.maxPaths).default([]),
	dataplane_healthy: z.boolean().default(true),
	candidates: z.array(endpoint).max(bodyLimits.maxCandidates).nullish(),
	nat: z.enum(["easy", "hard"]).nullish(),
	/** It follows the stream: the answer's `peers` stays empty. */
	follows_stream: z.boolean().default(false),
});
export type HeartbeatBody = z.infer<typeof heartbeatBody>;

export const deregisterBody = z.object({ peer_id: z.string().max(64) });
export const punchBody = z.object({ peer_id: z.string().max(64), target_peer_id: z.string().max(64) });
