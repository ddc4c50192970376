import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { HubRequests } from "@warren/accounts";
import { systemClock, systemRandom, WarrenError } from "@warren/kernel";
import type { Command } from "commander";
import { renderUnicodeCompact } from "uqr";
import { z } from "zod";
import { cloudHub } from "../config/cloud-hub.ts";
import { type ConsoleFile, localUrl, readConsole } from "../config/console-file.ts";
import { type Login, readLogin, removeLogin, writeLogin } from "../config/login-file.ts";
import { type DeviceCode, signInByCode } from "../login/device-flow.ts";
import { loginError, type TrustedHub, trustHub } from "../login/hub-trust.ts";
import { dataFolderOf } from "./data-folder-of.ts";

interface Flags {
	readonly data?: string;
	readonly json?: boolean;
	readonly fingerprint?: string;
	readonly cloud?: boolean;
	readonly attached?: boolean;
}

const sessionSchema = z.object({
	user: z.object({ id: z.string(), name: z.string(), email: z.string() }),
	session: z.object({ id: z.string() }).optional(),
});
const meSchema = z.object({
	user: z.object({ id: z.string(), name: z.string(), email: z.string(), role: z.string() }),
	expiresAt: z.number(),
});
const membershipSchema = z.object({ hubUrl: z.string(), ca: z.string() });

/** `warren login`, `logout`: a person's session at a hub, kept in the data folder. */
export function addLoginCommands(program: Command): void {
	withFlags(
		program.command("login [url]").description("Sign in at a hub, by a code that you approve on another screen"),
	)
		.option("--cloud", "at the built-in hub, where this build has one [WARREN_CLOUD_URL]")
		.option("--fingerprint <sha256>", "of the hub's CA, as its console printed it")
		.option("--attached", "give up when standard input ends, as a window's child does")
		.action(login);
	withFlags(program.command("logout").description("End this machine's session at the hub")).action(logout);
}

async function login(url: string | undefined, flags: Flags): Promise<void> {
	if (flags.attached !== true) return await signIn(url, flags);
	const abandoned = () => process.exit(1);
	process.stdin.resume().once("close", abandoned);
	await signIn(url, flags).finally(() => process.stdin.off("close", abandoned).destroy());
}

async function signIn(url: string | undefined, flags: Flags): Promise<void> {
	const data = dataFolderOf(flags);
	const known = knownHubs(data);
	const target = targetOf(url, known, flags);
	const authorities = [...new Set(known.flatMap(({ ca }) => (ca === null ? [] : [ca])))];
	const hub = await trustHub(parseUrl(target), authorities, flags.fingerprint ?? null);
	const deps = { clock: systemClock, random: systemRandom };
	// The clock's timers do not keep a process alive, and between two questions there is nothing else.
	const awake = setInterval(() => {}, 60_000);
	const token = await signInByCode(hub, `warren on ${hostname()}`, deps, (code) => show(hub, code, flags)).finally(() =>
		clearInterval(awake),
	);
	const { user, session } = await ask(hub, token, "/auth/session", sessionSchema);
	writeLogin(data, { ...hub, userId: user.id, name: user.name, email: user.email, sessionId: session?.id, token });
	const result = { hubUrl: hub.hubUrl, user };
	print(flags, { state: "signed-in", ...result }, `Signed in at ${hub.hubUrl} as ${user.name} (${user.email}).`);
}

/** As it was named, else the hub that this machine has to do with, else the cloud. */
function targetOf(url: string | undefined, known: readonly TrustedHub[], flags: Flags): string {
	const cloud = cloudHub(process.env);
	if (flags.cloud === true) {
		if (url !== undefined)
			throw loginError("bad_url", `--cloud is a hub already, and ${url.slice(0, 120)} is another.`);
		if (cloud === null) throw loginError("bad_url", "This build has no cloud hub: name a hub of your own.");
		return cloud;
	}
	const target = url ?? known[0]?.hubUrl ?? cloud;
	if (target === null)
		throw loginError("not_signed_in", "No hub is known here.", { fix: "Name it: warren login https://HUB:PORT" });
	return target;
}

async function logout(flags: Flags): Promise<void> {
	const data = dataFolderOf(flags);
	const kept = keptLogin(data);
	const requests = new HubRequests(kept.hubUrl, kept.ca);
	let ended = false;
	try {
		const { status } = await requests.send("POST", "/auth/sign-out", { token: kept.token, body: {} });
		ended = status < 500;
	} catch {
		// The hub is away: the session here goes all the same.
	} finally {
		await requests.close();
	}
	removeLogin(data);
	const rest = ended
		? ""
		: `\nThe hub does not answer, so its session lives on: end "warren on ${hostname()}" under Devices there.`;
	print(flags, { hubUrl: kept.hubUrl, ended }, `Signed out of ${kept.hubUrl}.${rest}`);
}

/** Who is signed in here; with the hub away, what is known of it. */
export async function whoamiAtHub(flags: Flags): Promise<void> {
	const kept = keptLogin(dataFolderOf(flags));
	const { hubUrl, name, email, userId } = kept;
	try {
		const { user, expiresAt } = await ask(kept, kept.token, "/me", meSchema);
		const until = new Date(expiresAt).toISOString().slice(0, 10);
		const text = `${user.name} (${user.email}), ${user.role} at ${hubUrl}, until ${until}`;
		print(flags, { hubUrl, online: true, user, expiresAt }, text);
	} catch (fault) {
		if (!(fault instanceof WarrenError) || fault.code !== "hub_unreachable") throw fault;
		const user = { id: userId, name, email };
		print(flags, { hubUrl, online: false, user }, `${name} (${email}) at ${hubUrl}, which does not answer now`);
	}
}

/** Hubs that this data folder has to do with, the likeliest first. */
function knownHubs(data: string): TrustedHub[] {
	const hubs: TrustedHub[] = [];
	const kept = readLogin(data);
	if (kept !== null) hubs.push(kept);
	const joined = readFileIn(data, "membership.json");
	const membership = joined === null ? undefined : membershipSchema.safeParse(JSON.parse(joined)).data;
	if (membership !== undefined) hubs.push(membership);
	const ca = readFileIn(data, "ca", "ca.crt");
	const console = consoleOf(data);
	if (console !== null) hubs.push({ hubUrl: localUrl(console), ca });
	return hubs;
}

function consoleOf(data: string): ConsoleFile | null {
	try {
		return readConsole(data);
	} catch {
		// Nothing runs on this folder.
		return null;
	}
}

function readFileIn(...parts: string[]): string | null {
	const path = join(...(parts as [string]));
	return existsSync(path) ? readFileSync(path, "utf8") : null;
}

function keptLogin(data: string): Login {
	const kept = readLogin(data);
	if (kept === null) throw loginError("not_signed_in", `Nobody is signed in in ${data}.`);
	return kept;
}

/** @throws WarrenError `not_signed_in` when the session has ended, and those of `HubRequests`. */
async function ask<S extends z.ZodType>(hub: TrustedHub, token: string, path: string, schema: S): Promise<z.infer<S>> {
	const requests = new HubRequests(hub.hubUrl, hub.ca);
	try {
		return await requests.ask(schema, "GET", path, { token });
	} catch (fault) {
		if (fault instanceof WarrenError && fault.details["hubStatus"] === 401)
			throw loginError("not_signed_in", `The session at ${hub.hubUrl} has ended.`, { cause: fault });
		throw fault;
	} finally {
		await requests.close();
	}
}

function parseUrl(text: string): URL {
	try {
		return new URL(text.includes("://") ? text : `https://${text}`);
	} catch (cause) {
		throw loginError("bad_url", `"${text.slice(0, 120)}" is no address.`, { cause });
	}
}

/** The code goes to standard error, the result alone to standard output; with --json both, a line each. */
function show(hub: TrustedHub, code: DeviceCode, flags: Flags): void {
	if (flags.json === true) {
		process.stdout.write(`${JSON.stringify({ state: "waiting", ...hub, ...code })}\n`);
		return;
	}
	const qr = renderUnicodeCompact(code.verificationUriComplete, { border: 1 });
	process.stderr.write(
		`Open ${code.verificationUri}\nand approve the code ${code.userCode}, or scan this:\n\n${qr}\n\nWaiting …\n`,
	);
}

function withFlags(command: Command): Command {
	return command.option("--data <dir>", "the data folder [WARREN_DATA]").option("--json", "the result as JSON");
}

function print(flags: Flags, result: unknown, text: string): void {
	process.stdout.write(`${flags.json === true ? JSON.stringify(result) : text}\n`);
}
