import { parseRequest, WarrenError } from "@warren/kernel";
import { z } from "zod";
import { syncError } from "../errors.ts";
import type { HubEndpoint } from "./hub-endpoint.ts";
import type { HubDocuments } from "./hub-sync.ts";

const listing = z.object({ rooms: z.array(z.object({ id: z.string(), title: z.string(), access: z.string() })) });
const refusal = z.object({ error: z.string(), message: z.string() });

const timeoutMs = 10_000;

/** The hub's list over `/rooms`. @param request a fetch that trusts this warren's CA. */
export function httpHubDocuments(hub: HubEndpoint, request: typeof fetch): HubDocuments {
	const call = async (method: "GET" | "POST" | "PATCH" | "DELETE", body?: unknown, id?: string): Promise<unknown> => {
		const token = await hub.token();
		if (token === null) throw syncError("hub_refused", "Nobody is signed in at the hub.");
		const response = await request(
			`${hub.url.replace(/\/+$/, "")}/rooms${id === undefined ? "" : `/${encodeURIComponent(id)}`}`,
			{
				method,
				headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
				signal: AbortSignal.timeout(timeoutMs),
				redirect: "error",
			},
		);
		if (response.status === 204) return null;
		if (response.ok) return response.json();
		const parsed = refusal.safeParse(await response.json().catch(() => null));
		const said = parsed.success ? `${parsed.data.error}: ${parsed.data.message}` : `status ${response.status}`;
		const retryable = response.status === 429 || response.status >= 500;
		const details = { status: response.status, ...(parsed.success ? { error: parsed.data.error } : {}) };
		throw syncError("hub_refused", `The hub answered ${said}`, { retryable, details });
	};
	return {
		list: async () => parseRequest(listing, await call("GET")).rooms,
		create: async (document) => {
			try {
				await call("POST", document);
			} catch (fault) {
				if (fault instanceof WarrenError && fault.details["status"] === 409) return "there";
				// In the hub's own words: a proxy's 404 says nothing of a document.
				if (fault instanceof WarrenError && fault.details["error"] === "unknown_document") return "deleted";
				throw fault;
			}
			return "there";
		},
		rename: async ({ id, title }) => void (await call("PATCH", { title }, id)),
		delete: async (id) => {
			try {
				await call("DELETE", undefined, id);
			} catch (fault) {
				if (!(fault instanceof WarrenError) || fault.details["error"] !== "unknown_document") throw fault;
			}
		},
	};
}
