import type { IncomingMessage, ServerResponse } from "node:http";
import { badRequest, type CredentialKind, describeIdentity, type Identity, WarrenError } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route } from "@warren/net";
import { z } from "zod";
import { terminalError } from "./errors.ts";
import { maxClientMessageBytes } from "./protocol/frames.ts";
import { shareLimits } from "./shares.ts";
import type { FoundSession, TerminalService } from "./terminal-service.ts";
import { isName, nameRule } from "./tmux/names.ts";
import type { PaneNumber, TmuxWindow, WindowNumber } from "./tmux/rows.ts";
import { tmuxLimits } from "./tmux/tmux-server.ts";
import { parseFileName, storeUpload, tooLarge, uploadLimits } from "./upload.ts";

const folder = z
	.string()
	.min(1)
	.max(4096)
	.regex(/^[^\0]*$/, "must not hold a NUL");
const sessionBody = z.object({ name: z.string(), cwd: folder.optional(), command: folder.optional() });
const renameBody = z.object({ name: z.string() });
const windowBody = z.object({ name: z.string().optional(), cwd: folder.optional() });
const paneRef = z.string().regex(/^\d{1,9}$/, "must be a pane's id, without its %");
const splitBody = z.object({ direction: z.enum(["right", "down"]), pane: paneRef.optional() });
const zoomBody = z.object({ pane: paneRef.optional() });
const shareBody = z.object({
	expiresInMs: z.number().int().min(shareLimits.minLifetimeMs).max(shareLimits.maxLifetimeMs),
});

/** As the address carries them, for the API's description. */
const paneQuery = { pane: z.string().optional() };
const historyQuery = z.object({ lines: z.string().optional(), before: z.string().optional(), ...paneQuery });
const searchQuery = z.object({ q: z.string(), limit: z.string().optional(), ...paneQuery });
const fileQuery = z.object({ name: z.string() });

const members: readonly CredentialKind[] = ["basic", "device", "admin"];
const owner = "node";

/** Sessions, windows, panes, history, uploads, shares, terminals and live events: docs/api-node.md. */
export function terminalRoutes(service: TerminalService): Route[] {
	return [
		...sessionRoutes(service),
		...windowRoutes(service),
		...historyRoutes(service),
		...uploadRoutes(service),
		...shareRoutes(service),
		...socketRoutes(service),
	];
}

function sessionRoutes(service: TerminalService): Route[] {
	return [
		{
			owner,
			method: "GET",
			path: "/api/sessions",
			about: { summary: "Terminal sessions" },
			credentials: members,
			handle: async () => json(200, await service.list()),
		},
		{
			owner,
			method: "POST",
			path: "/api/sessions",
			about: { summary: "Make a session", body: sessionBody },
			credentials: members,
			handle: async (context) => {
				const body = await context.json(sessionBody);
				const found = await service.create({
					name: checkedName(body.name),
					...(body.cwd === undefined ? {} : { cwd: body.cwd }),
					...(body.command === undefined ? {} : { command: body.command }),
				});
				audit(service, context, "session.create", found.id, { name: body.name });
				return json(201, await service.view(found));
			},
		},
		{
			owner,
			method: "GET",
			path: "/api/sessions/:session",
			about: { summary: "One session" },
			credentials: members,
			handle: async (context) => json(200, await service.view(await session(service, context))),
		},
		{
			owner,
			method: "PATCH",
			path: "/api/sessions/:session",
			about: { summary: "Rename a session", body: renameBody },
			credentials: members,
			handle: async (context) => {
				const name = checkedName((await context.json(renameBody)).name);
				const found = await session(service, context);
				await found.server.renameSession(found.session.number, name);
				audit(service, context, "session.rename", found.id, { name });
				return json(200, await service.view(await service.find(found.id)));
			},
		},
		{
			owner,
			method: "DELETE",
			path: "/api/sessions/:session",
			about: { summary: "End a session" },
			credentials: members,
			handle: async (context) => {
				const found = await session(service, context);
				await service.kill(found);
				audit(service, context, "session.kill", found.id, { name: found.session.name });
				return nothing();
			},
		},
	];
}

function windowRoutes(service: TerminalService): Route[] {
	const base = "/api/sessions/:session/windows";
	return [
		{
			owner,
			method: "GET",
			path: base,
			about: { summary: "Windows of a session" },
			credentials: members,
			handle: async (context) => {
				const found = await session(service, context);
				const windows = await found.server.windows(found.session.number);
				return json(200, { windows: windows.map(showWindow) });
			},
		},
		{
			owner,
			method: "POST",
			path: base,
			about: { summary: "Make a window", body: windowBody },
			credentials: members,
			handle: async (context) => {
				const { name, cwd } = await context.json(windowBody);
				const found = await session(service, context);
				const number = await found.server.createWindow(found.session.number, {
					...(name === undefined ? {} : { name: checkedName(name) }),
					cwd: cwd ?? found.session.cwd,
				});
				return json(201, showWindow(await window(found, number.slice(1))));
			},
		},
		{
			owner,
			method: "PATCH",
			path: `${base}/:window`,
			about: { summary: "Rename a window", body: renameBody },
			credentials: members,
			handle: async (context) => {
				const name = checkedName((await context.json(renameBody)).name);
				const { found, number } = await sessionWindow(service, context);
				await found.server.renameWindow(number, name);
				return json(200, showWindow(await window(found, number.slice(1))));
			},
		},
		{
			owner,
			method: "DELETE",
			path: `${base}/:window`,
			about: { summary: "Close a window" },
			credentials: members,
			handle: async (context) => {
				const { found, number } = await sessionWindow(service, context);
				await found.server.killWindow(number);
				return nothing();
			},
		},
		{
			owner,
			method: "POST",
			path: `${base}/:window/select`,
			about: { summary: "Show a window" },
			credentials: members,
			handle: async (context) => {
				const { found, number } = await sessionWindow(service, context);
				await found.server.selectWindow(found.session.number, number);
				return nothing();
			},
		},
		{
			owner,
			method: "POST",
			path: `${base}/:window/split`,
			about: { summary: "Split a pane", body: splitBody },
			credentials: members,
			handle: async (context) => {
				const { direction, pane } = await context.json(splitBody);
				const { found, number, panes } = await sessionWindow(service, context);
				const split = await found.server.splitPane(pane === undefined ? number : paneAmong(panes, pane), direction);
				const after = showWindow(await window(found, number.slice(1)));
				return json(201, { ...after, pane: split.slice(1) });
			},
		},
		{
			owner,
			method: "POST",
			path: `${base}/:window/zoom`,
			about: { summary: "Zoom a pane, or end it", body: zoomBody },
			credentials: members,
			handle: async (context) => {
				const { pane } = context.headers["content-type"] === undefined ? {} : await context.json(zoomBody);
				const { found, number, panes } = await sessionWindow(service, context);
				await found.server.toggleZoom(pane === undefined ? number : paneAmong(panes, pane));
				return nothing();
			},
		},
		{
			owner,
			method: "POST",
			path: "/api/sessions/:session/panes/:pane/select",
			about: { summary: "Go to a pane" },
			credentials: members,
			handle: async (context) => {
				const found = await session(service, context);
				await found.server.selectPane(await pane(found, context.params["pane"] ?? ""));
				return nothing();
			},
		},
		{
			owner,
			method: "DELETE",
			path: "/api/sessions/:session/panes/:pane",
			about: { summary: "Close a pane" },
			credentials: members,
			handle: async (context) => {
				const found = await session(service, context);
				await found.server.killPane(await pane(found, context.params["pane"] ?? ""));
				return nothing();
			},
		},
	];
}

function historyRoutes(service: TerminalService): Route[] {
	return [
		{
			owner,
			method: "GET",
			path: "/api/sessions/:session/history",
			about: { summary: "Lines that have scrolled away", query: historyQuery },
			credentials: members,
			handle: async (context) => {
				const lines = queryNumber(context, "lines", 2000, 1, tmuxLimits.maxHistoryLines);
				const before = queryNumber(context, "before", 0, 0, 10_000_000);
				const found = await session(service, context);
				return json(200, await found.server.history(await target(found, context), lines, before));
			},
		},
		{
			owner,
			method: "GET",
			path: "/api/sessions/:session/search",
			about: { summary: "Search the history", query: searchQuery },
			credentials: members,
			handle: async (context) => {
				const query = context.query.get("q") ?? "";
				if (query === "" || query.length > maxQueryLength) {
					throw badRequest(`The search ?q= has ${query.length} characters; it needs 1 to ${maxQueryLength}.`);
				}
				const limit = queryNumber(context, "limit", 200, 1, tmuxLimits.maxSearchMatches);
				const found = await session(service, context);
				return json(200, await found.server.search(await target(found, context), query, limit));
			},
		},
	];
}

function uploadRoutes(service: TerminalService): Route[] {
	let running = 0;
	return [
		{
			owner,
			method: "POST",
			path: "/api/sessions/:session/files",
			about: { summary: "Put a file into the session's folder", query: fileQuery },
			credentials: members,
			stream: async (context, incoming, outgoing) => {
				if (running >= uploadLimits.maxConcurrent) {
					throw lingering(
						service,
						incoming,
						outgoing,
						terminalError("too_many", `${running} uploads run already.`, { details: { retryAfterMs: 5000 } }),
					);
				}
				running += 1;
				try {
					const name = parseFileName(context.query.get("name"));
					if (Number(incoming.headers["content-length"] ?? 0) > service.maxUploadBytes)
						throw tooLarge(service.maxUploadBytes);
					const found = await session(service, context);
					const goal = { folder: found.session.cwd, name, maxBytes: service.maxUploadBytes };
					const stored = await storeUpload(service, incoming, goal);
					audit(service, context, "session.upload", stored.path, { size: stored.size });
					outgoing.writeHead(201, { ...dataHeaders, "content-type": "application/json" });
					outgoing.end(JSON.stringify(stored));
				} catch (thrown) {
					throw lingering(service, incoming, outgoing, thrown);
				} finally {
					running -= 1;
				}
			},
		},
	];
}

function shareRoutes(service: TerminalService): Route[] {
	return [
		{
			owner,
			method: "POST",
			path: "/api/sessions/:session/shares",
			about: { summary: "Make a read-only link", body: shareBody },
			credentials: members,
			handle: async (context) => {
				const { expiresInMs } = await context.json(shareBody);
				const found = await session(service, context);
				const { share, token } = await service.shares.create(found.id, found.session.createdUnix, expiresInMs);
				audit(service, context, "share.create", share.id, { session: share.session, expiresAt: share.expiresAt });
				return json(201, { share, token, url: `${context.origin}/#share=${token}` });
			},
		},
		{
			owner,
			method: "GET",
			path: "/api/shares",
			about: { summary: "Read-only links that stand" },
			credentials: members,
			handle: () => json(200, { shares: service.shares.list() }),
		},
		{
			owner,
			method: "DELETE",
			path: "/api/shares/:share",
			about: { summary: "End a read-only link" },
			credentials: members,
			handle: async (context) => {
				const id = context.params["share"] ?? "";
				await service.shares.revoke(id);
				audit(service, context, "share.revoke", id);
				return nothing();
			},
		},
	];
}

function socketRoutes(service: TerminalService): Route[] {
	return [
		{
			owner,
			method: "WS",
			path: "/ws/:session",
			about: { summary: "The terminal itself" },
			credentials: [...members, "share"],
			open: async (context, upgrade) => {
				const address = context.params["session"] ?? "";
				const identity = context.identity as Identity;
				const shared = identity.kind === "share";
				if (shared && identity.resource !== address) {
					throw terminalError("share_forbidden", `This share link is for the session ${identity.resource} alone.`);
				}
				const found = await findOrHeld(service, address, actor(context));
				if (shared && found !== null && service.shares.sessionCreated(identity.shareId) !== found.session.createdUnix) {
					throw terminalError("unknown_session", "The session that this share link was for has ended.");
				}
				const connection = upgrade.accept({ maxMessageBytes: maxClientMessageBytes, flush: "now" });
				service.viewers.admit(connection, {
					target: found === null ? null : service.viewTarget(found),
					sessionId: found?.id ?? address,
					owner: actor(context),
					readOnly: shared,
				});
			},
		},
	];
}

const maxQueryLength = 200;

/** A session that has ended may still have a viewer that was away when it did. */
async function findOrHeld(service: TerminalService, address: string, owner: string): Promise<FoundSession | null> {
	try {
		return await service.find(address);
	} catch (thrown) {
		const ended = thrown instanceof WarrenError && thrown.code === "unknown_session";
		if (ended && service.viewers.holds(address, owner)) return null;
		throw thrown;
	}
}

function session(service: TerminalService, context: RequestContext): Promise<FoundSession> {
	return service.find(context.params["session"] ?? "");
}

async function window(found: FoundSession, id: string): Promise<TmuxWindow> {
	const windows = await found.server.windows(found.session.number);
	const window = windows.find((each) => each.number === `@${id}`);
	if (window === undefined)
		throw terminalError("unknown_window", `There is no window "${id.slice(0, 20)}" in this session.`);
	return window;
}

async function sessionWindow(
	service: TerminalService,
	context: RequestContext,
): Promise<{ found: FoundSession; number: WindowNumber; panes: TmuxWindow["panes"] }> {
	const found = await session(service, context);
	const { number, panes } = await window(found, context.params["window"] ?? "");
	return { found, number, panes };
}

function paneAmong(panes: TmuxWindow["panes"], id: string): PaneNumber {
	const pane = panes.find((each) => each.number === `%${id}`);
	if (pane === undefined) throw terminalError("unknown_pane", `There is no pane "${id.slice(0, 20)}" here.`);
	return pane.number;
}

async function pane(found: FoundSession, id: string): Promise<PaneNumber> {
	const windows = await found.server.windows(found.session.number);
	return paneAmong(
		windows.flatMap((each) => each.panes),
		id,
	);
}

/** What history and search look at: the pane that `?pane=` names, else the active one. */
async function target(found: FoundSession, context: RequestContext): Promise<PaneNumber> {
	const id = context.query.get("pane");
	return id === null || id === "" ? found.session.pane : pane(found, id);
}

function showWindow({ number, panes, ...window }: TmuxWindow) {
	return {
		id: number.slice(1),
		...window,
		panes: panes.map(({ number: pane, ...rest }) => ({ id: pane.slice(1), ...rest })),
	};
}

/** @throws WarrenError `bad_name`. */
function checkedName(name: string): string {
	if (!isName(name))
		throw terminalError("bad_name", `"${name.slice(0, 80)}" is not a name that a terminal may have. ${nameRule}`);
	return name;
}

function queryNumber(context: RequestContext, name: string, otherwise: number, least: number, most: number): number {
	const text = context.query.get(name);
	if (text === null || text === "") return otherwise;
	const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
	if (!(value >= least && value <= most)) {
		throw badRequest(`?${name}= was "${text.slice(0, 40)}"; it must be a number from ${least} to ${most}.`);
	}
	return value;
}

/**
 * Before an early refusal goes out: the connection ends with it, yet stays open long enough for the client, which is
 * still sending, to read it.
 */
function lingering(
	service: TerminalService,
	incoming: IncomingMessage,
	outgoing: ServerResponse,
	thrown: unknown,
): unknown {
	if (incoming.complete || outgoing.headersSent) return thrown;
	outgoing.setHeader("connection", "close");
	outgoing.once("finish", () => {
		incoming.on("error", () => {});
		incoming.resume();
		service.clock.after(lingerMs, () => incoming.socket.destroy());
	});
	return thrown;
}

const lingerMs = 1_000;

function actor(context: RequestContext): string {
	return context.identity === null ? "anonymous" : describeIdentity(context.identity);
}

function audit(
	service: TerminalService,
	context: RequestContext,
	action: string,
	target: string,
	details: Readonly<Record<string, unknown>> = {},
): void {
	service.audit.record({
		actor: actor(context),
		action,
		target,
		outcome: "ok",
		address: context.remoteAddress,
		details,
	});
}

function json(status: number, body: unknown): Response {
	return Response.json(body, { status, headers: dataHeaders });
}

function nothing(): Response {
	return new Response(null, { status: 204, headers: dataHeaders });
}
