import { parseRequest, WarrenError } from "@warren/kernel";
import { z } from "zod";
import { syncError } from "../errors.ts";
import type { HubEndpoint } from "./hub-endpoint.ts";
import type { HubDocuments } from "./hub-sync.ts";

const listing = z.object({ rooms: z.array(z.object({ id: z.string(), title: z.string() })) });
const refusal = z.object({ error: z.string(), message: z.string() });

const timeoutMs = 10_000;

/** The hub's list over `/rooms`. @param request a fetch that trusts this warren's CA. */
export function httpHubDocuments(hub: HubEndpoint, request: typeof fetch): HubDocuments {
	const call = async (method: "GET" | "POST" | "PATCH", body?: unknown, id?: string): Promise<unknown> => {
		const token = await hub.token();
		if (token === null) throw syncError("hub_refused", "Nobody is signed in at the hub.");
		const response = await request(`${hub.url.replace(/\/+$/, "")}/rooms${id === undefined ? "" : `/${id}`}`, {
			method,
			headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
			signal: AbortSignal.timeout(timeoutMs),
			redirect: "error",
		});
		if (response.ok) return response.json();
		const parsed = refusal.safeParse(await response.json().catch(() => null));
		const said = parsed.success ? `${parsed.data.error}: ${parsed.data.message}` : `status ${response.status}`;
		const retryable = response.status === 429 || response.status >= 500;
		throw syncError("hub_refused", `The hub answered ${said}`, { retryable, details: { status: response.status } });
	};
	return {
		list: async () => parseRequest(listing, await call("GET")).rooms,
		create: async (document) => {
			try {
				await call("POST", document);
			} catch (fault) {
				if (fault instanceof WarrenError && fault.details["status"] === 409) return;
				throw fault;
			}
		},
		rename: async ({ id, title }) => void (await call("PATCH", { title }, id)),
	};
}
