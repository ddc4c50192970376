import { type Identity, WarrenError } from "@warren/kernel";
import type { Route } from "@warren/net";
import { terminalError } from "../errors.ts";
import { maxClientMessageBytes } from "../protocol/frames.ts";
import type { FoundSession, TerminalService } from "../terminal-service.ts";
import { actor, members, owner } from "./route-context.ts";

/** The terminal itself, for members and for who holds a share. */
export function socketRoutes(service: TerminalService): Route[] {
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
