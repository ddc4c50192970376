import { rmSync } from "node:fs";
import { joinWarren, ticketKeySchema } from "@warren/accounts";
import { defineErrors, parseConfig } from "@warren/kernel";
import { createCsr } from "@warren/net";
import { z } from "zod";
import type { DataFolder } from "../config/data-folder.ts";

const membershipError = defineErrors({
	already_joined: { status: 409, fix: "Use another data folder with --data DIR." },
	bad_url: { status: 400, fix: "Give the address that the first machine printed, like https://burrow.local:5151." },
});

const fileName = "membership.json";
const reserveFile = "join.reserve";
/** More than what is kept once this machine has joined. */
const reserveBytes = 64 * 1024;
const membershipSchema = z.object({
	hubUrl: z.url(),
	/** PEM of the warren's CA. */
	ca: z.string(),
	nodeId: z.string(),
	/** A secret. */
	nodeToken: z.string(),
	/** Who joined this machine: the only person whose tickets open it. */
	ownerId: z.string(),
	ticketKey: ticketKeySchema,
});

/** How a machine belongs to another one's warren: kept 0600 in its data folder from the day it joined. */
export type Membership = z.infer<typeof membershipSchema>;

/** @returns null on a machine that made a warren of its own, or none yet. */
export function readMembership(data: DataFolder): Membership | null {
	const text = data.read(fileName);
	return text === null ? null : parseConfig(membershipSchema, JSON.parse(text), "join");
}

/**
 * Makes this machine one of a warren. Its key never leaves it, and nothing is kept unless everything went well.
 * @throws WarrenError `already_joined`, `bad_url`, and what `joinWarren` throws.
 */
export async function becomeMember(
	data: DataFolder,
	hubUrl: string,
	code: string,
	facts: { readonly name: string; readonly hosts: readonly string[]; readonly port: number; readonly version: string },
): Promise<void> {
	if (readMembership(data) !== null)
		throw membershipError("already_joined", `${data.path} belongs to a warren already.`);
	if (data.read("ca", "ca.key") !== null)
		throw membershipError("already_joined", `${data.path} is the first machine of a warren of its own.`);
	const url = originOf(hubUrl);
	const { csr, key } = await createCsr(facts.name);
	// A code works once: a full disk is met before it is spent.
	data.write("0".repeat(reserveBytes), reserveFile);
	const joined = await joinWarren(url, code, { ...facts, csr }).finally(() =>
		rmSync(data.file(reserveFile), { force: true }),
	);
	const membership: Membership = {
		// As it was typed: that is how this machine reaches it.
		hubUrl: url,
		ca: joined.ca,
		nodeId: joined.nodeId,
		nodeToken: joined.nodeToken,
		ownerId: joined.owner.userId,
		ticketKey: joined.ticketKey,
	};
	data.write(key, "tls", "node.key");
	data.write(joined.cert, "tls", "node.crt");
	data.write(JSON.stringify(membership), fileName);
}

function originOf(text: string): string {
	let url: URL;
	try {
		url = new URL(text.includes("://") ? text : `https://${text}`);
	} catch (cause) {
		throw membershipError("bad_url", `"${text.slice(0, 120)}" is no address.`, { cause });
	}
	if (url.hash.startsWith("#pair="))
		throw membershipError("bad_url", "This is a link that pairs a phone or a browser, not the address of a machine.", {
			fix: `Open it in a browser, or join with the address alone: warren join ${url.origin}`,
		});
	return url.origin;
}
