import { type Api, bearer } from "./client.ts";
import { type MachineId, pathOn, self } from "./machine.ts";

/**
 * Opens a WebSocket to a machine. A page cannot set headers on one, so the node that served it takes the token as a
 * subprotocol; a peer's token travels in a single-use ticket, never in the URL.
 * @param path begins with `/ws/`.
 * @param token a share's bearer instead of this browser's own.
 * @throws ApiError when the ticket is refused.
 */
export async function openSocket(api: Api, machine: MachineId, path: string, token?: string): Promise<WebSocket> {
	const target = pathOn(machine, path);
	const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${target}`;
	if (machine === self) {
		const own = token ?? api.credentials.get(self)?.token;
		return new WebSocket(url, own === undefined ? ["warren.v1"] : ["warren.v1", `bearer.${own}`]);
	}
	const upstreamAuthorization = bearer(api.credentials.get(machine));
	const { ticket } = await api.request<{ ticket: string }>(self, "/api/ws-tickets", {
		method: "POST",
		body: { path: target, ...(upstreamAuthorization === undefined ? {} : { upstreamAuthorization }) },
		timeoutMs: 10_000,
	});
	return new WebSocket(url, ["warren.v1", `ticket.${ticket}`]);
}
