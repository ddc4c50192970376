import { createHash, X509Certificate } from "node:crypto";
import { parseJoinCode, ticketKeySchema } from "@warren/accounts";
import { defineErrors, messageOf, WarrenError } from "@warren/kernel";
import { createCsr } from "@warren/net";
import { Agent, request } from "undici";
import { z } from "zod";
import type { DataFolder } from "../config/data-folder.ts";
import { type HubLinkFile, writeHubLink } from "./hub-link.ts";

const joinError = defineErrors({
	bad_code: { status: 400, fix: "Make a new one on the first machine with: warren invite" },
	bad_url: { status: 400, fix: "Give the address that the first machine printed, like https://burrow.local:5151." },
	hub_away: { status: 503, fix: "Is the first machine on, and does this one reach it?" },
	wrong_hub: {
		status: 403,
		fix: "Check the address. If it is right, somebody stands between you and the first machine.",
	},
	already_joined: { status: 409, fix: "Use another data folder with --data DIR." },
});

const limits = { callMs: 15_000, maxAnswerBytes: 256 * 1024 } as const;
const answerSchema = z.object({
	nodeId: z.string(),
	cert: z.string(),
	ca: z.string(),
	nodeToken: z.string(),
	hubUrl: z.url(),
	owner: z.object({ userId: z.string() }),
	ticketKey: ticketKeySchema,
});

/**
 * Makes this machine one of a warren. The code proves the hub to us (it carries the CA's fingerprint) and us to the hub;
 * this machine's key never leaves it. Nothing is kept unless everything went well.
 * @throws WarrenError saying which of the two is wrong.
 */
export async function joinWarren(
	data: DataFolder,
	hubUrl: string,
	code: string,
	facts: { readonly name: string; readonly hosts: readonly string[]; readonly port: number; readonly version: string },
): Promise<HubLinkFile> {
	if (data.read("link.json") !== null) throw joinError("already_joined", `${data.path} belongs to a warren already.`);
	if (data.read("ca", "ca.key") !== null)
		throw joinError("already_joined", `${data.path} is the first machine of a warren of its own.`);
	const parsed = parseJoinCode(code);
	if (parsed === null)
		throw joinError("bad_code", "This is no join code: it begins with wj_ and is about 90 characters long.");
	const url = hubOrigin(hubUrl);
	const ca = await fetchAuthority(url, parsed.fingerprint);
	const { csr, key } = await createCsr(facts.name);
	const agent = new Agent({ connect: { ca, timeout: limits.callMs }, headersTimeout: limits.callMs });
	try {
		const text = await call(agent, url, "/v1/join", { secret: parsed.secret, csr, ...facts });
		const { nodeId, cert, nodeToken, owner, ticketKey } = answerSchema.parse(JSON.parse(text));
		const link: HubLinkFile = { hubUrl: url, ca, nodeId, nodeToken, ownerId: owner.userId, ticketKey };
		data.write(key, "tls", "node.key");
		data.write(cert, "tls", "node.crt");
		writeHubLink(data, link);
		return link;
	} finally {
		await agent.destroy();
	}
}

function hubOrigin(text: string): string {
	let url: URL;
	try {
		url = new URL(text.includes("://") ? text : `https://${text}`);
	} catch (cause) {
		throw joinError("bad_url", `"${text.slice(0, 120)}" is no address.`, { cause });
	}
	if (url.protocol !== "https:") throw joinError("bad_url", `"${text.slice(0, 120)}" is not https.`);
	return url.origin;
}

/** The hub's CA, believed only because the code names it. */
async function fetchAuthority(url: string, expected: string): Promise<string> {
	const agent = new Agent({
		connect: { rejectUnauthorized: false, timeout: limits.callMs },
		headersTimeout: limits.callMs,
	});
	try {
		const answer = await request(`${url}/ca.crt`, { dispatcher: agent }).catch((cause: unknown) => {
			throw joinError("hub_away", `${url} does not answer: ${messageOf(cause)}.`, { cause });
		});
		const der = Buffer.from(await answer.body.arrayBuffer());
		if (answer.statusCode !== 200 || der.length > limits.maxAnswerBytes)
			throw joinError("wrong_hub", `${url} is not the first machine of a warren: it has no CA.`);
		const found = createHash("sha256").update(der).digest("base64url");
		if (found !== expected)
			throw joinError(
				"wrong_hub",
				`${url} shows another CA (${found}) than the code names (${expected}). Nothing was sent.`,
			);
		const certificate = new X509Certificate(der);
		return certificate.toString();
	} finally {
		await agent.destroy();
	}
}

async function call(agent: Agent, url: string, path: string, body: unknown): Promise<string> {
	const answer = await request(url + path, {
		method: "POST",
		dispatcher: agent,
		headers: { "content-type": "application/json" },
		body: JSON.stringify(body),
	}).catch((cause: unknown) => {
		throw joinError("hub_away", `${url} does not answer: ${messageOf(cause)}.`, { cause });
	});
	const text = await answer.body.text();
	if (answer.statusCode < 400) return text;
	const { error, message, fix } = JSON.parse(text) as { error: string; message: string; fix?: string };
	throw new WarrenError(error, message, { status: answer.statusCode, ...(fix === undefined ? {} : { fix }) });
}
