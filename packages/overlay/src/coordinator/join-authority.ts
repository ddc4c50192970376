import { readFileSync, statSync } from "node:fs";
import { type Clock, equalSecrets, hashToken, messageOf } from "@warren/kernel";
import { Agent, request } from "undici";
import { z } from "zod";
import { overlayError } from "../errors.ts";
import type { WireGuardKey } from "../protocol/peer-record.ts";
import { tagPattern } from "../protocol/policy.ts";

/** What a join token says: it counts, whatever the joiner says of itself. */
export interface JoinClaims {
	readonly subject: string;
	readonly network: string;
	readonly tags: readonly string[];
	/** Addresses that it may ask for; empty = any. */
	readonly requestedUlas: readonly string[];
}

export interface JoinAuthority {
	/** Null = a definite no. @throws WarrenError `token_authority_away`. */
	validate(token: string, key: WireGuardKey): Promise<JoinClaims | null>;
}

const limits = { timeoutMs: 5_000, maxAnswerBytes: 64 * 1024, maxFileBytes: 4 * 1024 * 1024, maxRows: 10_000 } as const;
const word = z.string().regex(tagPattern);
const claims = z.object({
	valid: z.boolean(),
	subject: z.string().max(320).default(""),
	network: word.default("default"),
	tags: z.array(word).max(32).default([]),
	kind: z.string().default("join"),
	requested_ulas: z.array(z.string().max(64)).max(64).default([]),
	/** Seconds since the Unix epoch. */
	exp: z.number().nullish(),
});

/**
 * Asks `POST {authUrl}/v1/validate`. Whoever cannot be asked is neither yes nor no.
 * @param ca PEM: the CA of that server, where it is a private one.
 */
export function joinAuthorityAt(authUrl: string, clock: Clock, ca?: string): JoinAuthority {
	const agent = new Agent({ connect: { timeout: limits.timeoutMs, ...(ca === undefined ? {} : { ca }) } });
	const url = new URL("v1/validate", authUrl.endsWith("/") ? authUrl : `${authUrl}/`);
	return {
		async validate(token, key) {
			let answer: z.infer<typeof claims>;
			try {
				const response = await request(url, {
					method: "POST",
					dispatcher: agent,
					headers: { "content-type": "application/json", accept: "application/json" },
					body: JSON.stringify({ token: token.trim(), wg_public_key: key }),
					headersTimeout: limits.timeoutMs,
					bodyTimeout: limits.timeoutMs,
				});
				const text = await boundedText(response.body);
				if (response.statusCode === 401 || response.statusCode === 403) return null;
				if (response.statusCode !== 200) throw new Error(`it answered ${response.statusCode}`);
				answer = claims.parse(JSON.parse(text));
			} catch (cause) {
				throw overlayError(
					"token_authority_away",
					`The join token cannot be checked at ${url.origin}: ${messageOf(cause).slice(0, 200)}.`,
					{
						fix: "Try again; --auth-url names who checks tokens.",
						cause,
					},
				);
			}
			if (!answer.valid || answer.kind !== "join") return null;
			if (answer.exp != null && answer.exp * 1000 <= clock.now()) return null;
			return {
				subject: answer.subject,
				network: answer.network,
				tags: answer.tags,
				requestedUlas: answer.requested_ulas,
			};
		},
	};
}

async function boundedText(body: AsyncIterable<Uint8Array>): Promise<string> {
	const parts: Uint8Array[] = [];
	let size = 0;
	for await (const part of body) {
		size += part.length;
		if (size > limits.maxAnswerBytes) throw new Error(`it answered more than ${limits.maxAnswerBytes} bytes`);
		parts.push(part);
	}
	return Buffer.concat(parts).toString("utf8");
}

const rows = z
	.array(
		z.object({
			token_sha256: z
				.string()
				.regex(/^[0-9a-f]{64}$/i, "must be 64 hex digits")
				.transform((each) => each.toLowerCase()),
			subject: z.string().min(1).max(320),
			network: word.default("default"),
			tags: z.array(word).max(32).default([]),
			/** Seconds since the Unix epoch. */
			exp: z.number(),
		}),
	)
	.max(limits.maxRows);

/** Tokens from a file, read again when it changes. @throws WarrenError `bad_config` now, `token_authority_away` later. */
export function joinAuthorityFrom(file: string, clock: Clock): JoinAuthority {
	let stamp = "";
	let known: z.infer<typeof rows> = [];
	const read = () => {
		const { size, mtimeMs } = statSync(file);
		if (`${size} ${mtimeMs}` === stamp) return;
		if (size > limits.maxFileBytes) throw new Error(`it has more than ${limits.maxFileBytes} bytes`);
		known = rows.parse(JSON.parse(readFileSync(file, "utf8")));
		stamp = `${size} ${mtimeMs}`;
	};
	try {
		read();
	} catch (cause) {
		throw overlayError("bad_config", `The join tokens in ${file} cannot be used: ${messageOf(cause)}.`, {
			fix: "It must be a JSON list of {token_sha256, subject, network, tags, exp}.",
			cause,
		});
	}
	return {
		async validate(token) {
			try {
				read();
			} catch (cause) {
				throw overlayError(
					"token_authority_away",
					`The join tokens in ${file} cannot be read now: ${messageOf(cause)}.`,
					{ fix: "Correct the file.", cause },
				);
			}
			const hash = hashToken(token.trim());
			let found: z.infer<typeof rows>[number] | null = null;
			// All rows, always: the time says nothing about which one it was.
			for (const row of known) if (equalSecrets(row.token_sha256, hash)) found = row;
			if (found === null || found.exp * 1000 <= clock.now()) return null;
			return { subject: found.subject, network: found.network, tags: found.tags, requestedUlas: [] };
		},
	};
}
