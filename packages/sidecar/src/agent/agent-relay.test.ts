import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { silentLogger, systemClock } from "@warren/kernel";
import { freePort, VirtualClock } from "@warren/testkit";
import { describe, expect, it, vi } from "vitest";
import { AgentRelay, relayLimits } from "./agent-relay.ts";
import { HubSession } from "./hub-session.ts";

/** A hub that answers as it is told, on loopback. */
async function fakeHub(answer: (incoming: IncomingMessage, outgoing: ServerResponse, body: string) => void, port = 0) {
	const server: Server = createServer((incoming, outgoing) => {
		let body = "";
		incoming.on("data", (chunk) => (body += String(chunk)));
		incoming.once("end", () => answer(incoming, outgoing, body));
	});
	await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
	const stop = () =>
		new Promise<void>((resolve) => {
			server.close(() => resolve());
			server.closeAllConnections();
		});
	return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop, [Symbol.asyncDispose]: stop };
}

const refusal = (outgoing: ServerResponse, error: string) =>
	outgoing.writeHead(401, { "content-type": "application/json" }).end(JSON.stringify({ error, message: "no" }));

async function openRelay(
	url: string,
	session: HubSession,
	tool = vi.fn(async (..._given: unknown[]): Promise<unknown> => null),
) {
	const relay = await AgentRelay.open(
		{ clock: systemClock, logger: silentLogger },
		{ session, hub: { url, ca: null }, runTool: tool },
	);
	relay.setSecret("the-secret");
	const ask = (path = "/proxy/openai/v1/chat/completions", headers: Record<string, string> = {}) =>
		fetch(`${relay.url}${path}`, {
			method: "POST",
			headers: { authorization: "Bearer the-secret", "content-type": "application/json", ...headers },
			body: '{"model":"m"}',
		});
	return { relay, ask, tool, [Symbol.asyncDispose]: () => relay.close() };
}

describe("the agent's relay", () => {
	it("puts the session in the secret's place, and passes the rest on as it is, streams too", async () => {
		const seen: [string, IncomingMessage["headers"], string][] = [];
		await using hub = await fakeHub((incoming, outgoing, body) => {
			seen.push([incoming.url ?? "", incoming.headers, body]);
			outgoing.writeHead(200, { "content-type": "text/event-stream", "set-cookie": "a=b" });
			outgoing.write("data: 1\n\n");
			outgoing.end("data: 2\n\n");
		});
		await using given = await openRelay(hub.url, new HubSession(systemClock, "session-1"));
		const answer = await given.ask("/proxy/anthropic/v1/messages?beta=true", { "x-extra": "1" });
		expect([answer.status, await answer.text()]).toEqual([200, "data: 1\n\ndata: 2\n\n"]);
		expect(answer.headers.get("set-cookie")).toBeNull();
		const [path, headers, body] = seen[0] as (typeof seen)[0];
		expect([path, body, headers["x-extra"]]).toEqual(["/proxy/anthropic/v1/messages?beta=true", '{"model":"m"}', "1"]);
		expect(headers.authorization).toBe("Bearer session-1");
		expect(JSON.stringify(headers)).not.toContain("the-secret");
	});

	it("takes the secret in any of the vendors' places, and an old or wrong one nowhere", async () => {
		await using hub = await fakeHub((_incoming, outgoing) => outgoing.end("{}"));
		await using given = await openRelay(hub.url, new HubSession(systemClock, "s"));
		const with_ = (headers: Record<string, string>) =>
			fetch(`${given.relay.url}/proxy/google/v1beta/models`, { headers }).then((answer) => answer.status);
		expect(await with_({ "x-api-key": "the-secret" })).toBe(200);
		expect(await with_({ "x-goog-api-key": "the-secret" })).toBe(200);
		expect(await with_({ authorization: "Bearer wrong" })).toBe(401);
		expect(await with_({})).toBe(401);
		given.relay.setSecret("the-next");
		expect(await with_({ authorization: "Bearer the-secret" })).toBe(401);
	});

	it("Hub down with OpenCode running: 503 with Retry-After, and on when it is back", async () => {
		const port = await freePort();
		const serve = () => fakeHub((_incoming, outgoing) => outgoing.end("{}"), port);
		const hub = await serve();
		await using given = await openRelay(hub.url, new HubSession(systemClock, "s"));
		expect((await given.ask()).status).toBe(200);
		await hub.stop();
		const away = await given.ask();
		expect([away.status, away.headers.get("retry-after")]).toEqual([503, String(relayLimits.retryAfterMs / 1000)]);
		expect(await away.json()).toMatchObject({ error: "hub_away" });
		await given.ask("/tools/w/notes_list");
		expect(given.tool, "local tools go on").toHaveBeenCalledWith("w", "notes_list", { model: "m" });
		await using _back = await serve();
		expect((await given.ask()).status).toBe(200);
	});

	it("Session token expires while OpenCode is running: the call waits for a fresh one, and is sent again with it", async () => {
		const tokens: (string | undefined)[] = [];
		await using hub = await fakeHub((incoming, outgoing) => {
			tokens.push(incoming.headers.authorization);
			if (incoming.headers.authorization === "Bearer fresh") outgoing.end("{}");
			else refusal(outgoing, "unauthorized");
		});
		const session = new HubSession(systemClock, "stale");
		await using given = await openRelay(hub.url, session);
		const waiting = given.ask();
		await vi.waitFor(() => expect(session.ended).toBe(true), { timeout: 30_000 });
		session.refresh("fresh");
		expect((await waiting).status).toBe(200);
		expect([tokens, session.ended]).toEqual([["Bearer stale", "Bearer fresh"], false]);
	});

	it("a session that nobody refreshes ends the turn", async () => {
		const clock = new VirtualClock();
		await using hub = await fakeHub((_incoming, outgoing) => refusal(outgoing, "unauthorized"));
		const session = new HubSession(clock, "stale");
		await using given = await openRelay(hub.url, session);
		const waiting = given.ask();
		await vi.waitFor(() => expect(session.ended).toBe(true), { timeout: 30_000 });
		await clock.advance(relayLimits.refreshMs);
		const answer = await waiting;
		expect([answer.status, ((await answer.json()) as { error: string }).error]).toEqual([401, "session_ended"]);
	});

	it("never takes a provider's 401, or a missing key, for the session's end", async () => {
		await using hub = await fakeHub((incoming, outgoing) => {
			if (incoming.url?.startsWith("/proxy/openai/") === true)
				outgoing.writeHead(401, { "x-warren-upstream": "openai" }).end('{"error":"unauthorized"}');
			else refusal(outgoing, "no_provider_key");
		});
		const session = new HubSession(systemClock, "s");
		await using given = await openRelay(hub.url, session);
		expect(await (await given.ask()).text()).toBe('{"error":"unauthorized"}');
		expect(await (await given.ask("/proxy/groq/openai/v1/chat/completions")).text()).toContain("no_provider_key");
		expect(session.ended).toBe(false);
	});
});
