import type { RequestContext, Route } from "@warren/net";
import { z } from "zod";
import { terminalError } from "../errors.ts";
import type { FoundSession, TerminalService } from "../terminal-service.ts";
import type { TmuxWindow, WindowNumber } from "../tmux/rows.ts";
import {
	checkedName,
	folder,
	json,
	members,
	nothing,
	owner,
	pane,
	paneAmong,
	renameBody,
	session,
} from "./route-context.ts";

const windowBody = z.object({ name: z.string().optional(), cwd: folder.optional() });
const paneRef = z.string().regex(/^\d{1,9}$/, "must be a pane's id, without its %");
const splitBody = z.object({ direction: z.enum(["right", "down"]), pane: paneRef.optional() });
const zoomBody = z.object({ pane: paneRef.optional() });

/** A session's windows and panes. */
export function windowRoutes(service: TerminalService): Route[] {
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

function showWindow({ number, panes, ...window }: TmuxWindow) {
	return {
		id: number.slice(1),
		...window,
		panes: panes.map(({ number: pane, ...rest }) => ({ id: pane.slice(1), ...rest })),
	};
}
