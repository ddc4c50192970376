import { expect, test } from "vitest";
import { basic, createApi } from "./client.ts";
import { CredentialStore } from "./credentials.ts";
import { ApiError } from "./exchange.ts";

function setUp(answer: () => Response) {
	const store = new CredentialStore({ getItem: () => null, setItem: () => undefined });
	for (const machine of ["self", "forge"]) {
		store.put(machine, { token: `wd_${machine}`, deviceId: "d", machineName: machine, savedAt: 1 });
	}
	const requests: { url: string; headers: Record<string, string> }[] = [];
	const api = createApi(store, (async (url: string, init: RequestInit) => {
		requests.push({ url, headers: init.headers as Record<string, string> });
		return answer();
	}) as typeof fetch);
	return { api, store, requests };
}

const refusal = (headers: Record<string, string>) =>
	Response.json({ error: "unauthorized", message: "no", retryable: false }, { status: 401, headers });

test("a peer gets its own token in the upstream header, this node its own", async () => {
	const { api, requests } = setUp(() => Response.json({}));
	await api.request("forge", "/api/sessions");
	expect(requests[0]?.url).toBe("/r/forge/api/sessions");
	expect(requests[0]?.headers).toMatchObject({
		authorization: "Bearer wd_self",
		"x-mobux-upstream-authorization": "Bearer wd_forge",
	});
});

test("this node never sees a peer's token", async () => {
	const { api, requests } = setUp(() => Response.json({}));
	await api.request("self", "/api/sessions");
	expect(JSON.stringify(requests[0]?.headers)).not.toContain("wd_forge");
});

test("a peer's 401 drops the peer's token alone", async () => {
	const { api, store } = setUp(() => refusal({ "x-warren-relay": "0" }));
	await expect(api.request("forge", "/api/me")).rejects.toThrow(ApiError);
	expect(store.get("forge")).toBeUndefined();
	expect(store.get("self")).toBeDefined();
});

test("the relay's 401 drops this node's token alone", async () => {
	const { api, store } = setUp(() => refusal({ "x-warren-relay": "1" }));
	await expect(api.request("forge", "/api/me")).rejects.toThrow(ApiError);
	expect(store.get("forge")).toBeDefined();
	expect(store.get("self")).toBeUndefined();
});

test("a wrong PIN drops nothing", async () => {
	const { api, store, requests } = setUp(() => refusal({ "x-warren-auth": "node" }));
	const authorization = basic("ada", "пин");
	await expect(api.request("self", "/api/devices", { method: "POST", body: {}, authorization })).rejects.toThrow("no");
	expect(store.get("self")).toBeDefined();
	expect(requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from("ada:пин").toString("base64")}`);
});

test("setup goes without any other credential", async () => {
	const { api, requests } = setUp(() => Response.json({}));
	await api.request("self", "/api/setup", { method: "POST", body: {}, authorization: null });
	expect(requests[0]?.headers).not.toHaveProperty("authorization");
});

test("an answer that is no JSON is told by its status", async () => {
	const { api } = setUp(() => new Response("<html>", { status: 502 }));
	await expect(api.request("self", "/api/me")).rejects.toMatchObject({ code: "http_502", retryable: true });
});
