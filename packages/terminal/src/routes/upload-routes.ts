import type { IncomingMessage, ServerResponse } from "node:http";
import { dataHeaders, type Route } from "@warren/net";
import { z } from "zod";
import { terminalError } from "../errors.ts";
import type { TerminalService } from "../terminal-service.ts";
import { parseFileName, storeUpload, tooLarge, uploadLimits } from "../upload.ts";
import { audit, members, owner, session } from "./route-context.ts";

const fileQuery = z.object({ name: z.string() });
const lingerMs = 1_000;

/** Files put beside a session's folder. */
export function uploadRoutes(service: TerminalService): Route[] {
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
