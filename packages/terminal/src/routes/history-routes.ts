import { badRequest } from "@warren/kernel";
import type { RequestContext, Route } from "@warren/net";
import { z } from "zod";
import type { FoundSession, TerminalService } from "../terminal-service.ts";
import type { PaneNumber } from "../tmux/rows.ts";
import { tmuxLimits } from "../tmux/tmux-server.ts";
import { json, members, owner, pane, session } from "./route-context.ts";

/** As the address carries them, for the API's description. */
const paneQuery = { pane: z.string().optional() };
const historyQuery = z.object({ lines: z.string().optional(), before: z.string().optional(), ...paneQuery });
const searchQuery = z.object({ q: z.string(), limit: z.string().optional(), ...paneQuery });

const maxQueryLength = 200;

/** What has scrolled away: read and searched. */
export function historyRoutes(service: TerminalService): Route[] {
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

/** What history and search look at: the pane that `?pane=` names, else the active one. */
async function target(found: FoundSession, context: RequestContext): Promise<PaneNumber> {
	const id = context.query.get("pane");
	return id === null || id === "" ? found.session.pane : pane(found, id);
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
