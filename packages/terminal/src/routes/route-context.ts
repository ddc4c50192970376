import { type CredentialKind, describeIdentity } from "@warren/kernel";
import { dataHeaders, type RequestContext } from "@warren/net";
import { z } from "zod";
import { terminalError } from "../errors.ts";
import type { FoundSession, TerminalService } from "../terminal-service.ts";
import { isName, nameRule } from "../tmux/names.ts";
import type { PaneNumber, TmuxWindow } from "../tmux/rows.ts";

/** Who may use a terminal's routes. */
export const members: readonly CredentialKind[] = ["basic", "device", "admin"];
export const owner = "node";

export const folder = z
	.string()
	.min(1)
	.max(4096)
	.regex(/^[^\0]*$/, "must not hold a NUL");
export const renameBody = z.object({ name: z.string() });

/** The session that the path names. @throws WarrenError `unknown_session`. */
export function session(service: TerminalService, context: RequestContext): Promise<FoundSession> {
	return service.find(context.params["session"] ?? "");
}

export function paneAmong(panes: TmuxWindow["panes"], id: string): PaneNumber {
	const pane = panes.find((each) => each.number === `%${id}`);
	if (pane === undefined) throw terminalError("unknown_pane", `There is no pane "${id.slice(0, 20)}" here.`);
	return pane.number;
}

export async function pane(found: FoundSession, id: string): Promise<PaneNumber> {
	const windows = await found.server.windows(found.session.number);
	return paneAmong(
		windows.flatMap((each) => each.panes),
		id,
	);
}

/** @throws WarrenError `bad_name`. */
export function checkedName(name: string): string {
	if (!isName(name))
		throw terminalError("bad_name", `"${name.slice(0, 80)}" is not a name that a terminal may have. ${nameRule}`);
	return name;
}

export function actor(context: RequestContext): string {
	return context.identity === null ? "anonymous" : describeIdentity(context.identity);
}

export function audit(
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

export function json(status: number, body: unknown): Response {
	return Response.json(body, { status, headers: dataHeaders });
}

export function nothing(): Response {
	return new Response(null, { status: 204, headers: dataHeaders });
}
