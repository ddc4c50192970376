import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { startCoordinator, TestJoiner } from "./coordinator.testing.ts";

/** Values where others are expected: each kind of JSON, and what parsers stumble over. */
const odd = fc.oneof(
	fc.jsonValue({ maxDepth: 2 }),
	fc.constantFrom(
		...[
			"__proto__",
			"\u0000",
			"\ud800",
			" ",
			"x".repeat(70_000),
			"fd5a:1f00:0:1::1",
			"::ffff:1.2.3.4",
			"1e999",
			"[::1]:0",
		],
		...[-1, 0.5, 2 ** 53, 65_536, null, true, [], {}],
	),
);

describe("bodies that nobody meant", () => {
	it("C3 each gets an answer below 500 that names it, and the coordinator goes on as before", {
		timeout: 60_000,
	}, async () => {
		await using server = await startCoordinator();
		await using one = new TestJoiner(server.url);
		await using two = new TestJoiner(server.url);
		await one.register();
		await two.register();
		const bodies: readonly (readonly [string, Record<string, unknown>])[] = [
			[
				"/v1/mesh/register",
				{
					...{
						wg_public_key: two.key,
						display_name: "two",
						network: "default",
						tags: ["a"],
						hosted_app_ulas: [],
						kind: "peer",
					},
					...{ parent: null, app_uuid: null, requested_ula: null, listen_endpoint: "192.0.2.1:1", wg_listen_port: 1 },
					...{ software_version: "x", relay_only: false, candidates: ["192.0.2.1:2"], nat: "easy", join_token: "t" },
				},
			],
			[
				"/v1/mesh/heartbeat",
				{
					...{ peer_id: two.peerId, listen_endpoint: null, wg_listen_port: 1, hosted_app_ulas: [], nat: "hard" },
					...{ peer_paths: [{ peer_id: one.peerId, direct: false, last_rx_age_ms: 1 }], dataplane_healthy: true },
				},
			],
			["/v1/mesh/punch", { peer_id: two.peerId, target_peer_id: one.peerId }],
			["/v1/mesh/deregister", { peer_id: "nobody" }],
		];
		const seen = new Set<number>();
		await fc.assert(
			fc.asyncProperty(
				fc.constantFrom(...bodies),
				fc.nat(20),
				odd,
				fc.nat(3),
				async ([path, body], which, value, cut) => {
					const keys = Object.keys(body);
					const changed = JSON.stringify({ ...body, [keys[which % keys.length] as string]: value });
					const text = cut === 0 ? changed.slice(0, -1 - (which % 40)) : changed;
					const answer = await one.call("POST", path, text);
					seen.add(answer.status);
					expect(answer.status, text.slice(0, 300)).toBeLessThan(500);
					if (answer.status >= 400)
						expect(answer.body, text.slice(0, 300)).toMatchObject({ error: expect.any(String) });
				},
			),
			{ numRuns: 300 },
		);
		expect([...seen]).toEqual(expect.arrayContaining([200, 400, 404]));
		// Whoever had nothing to do with it is who it was, and is heard.
		expect((await one.heartbeat()).status).toBe(200);
		const { peerId, ula } = one;
		await one.register();
		expect([one.peerId, one.ula]).toEqual([peerId, ula]);
	});

	it("C18 no policy that is no policy is taken, whatever it is, and the one before stays", async () => {
		await using server = await startCoordinator();
		await using one = new TestJoiner(server.url);
		const before = await one.admin("GET", "/v1/policy");
		const rule = { action: "accept", src: ["*"], dst: ["tag:a"], ports: [1], proto: "tcp", direction: "forward" };
		await fc.assert(
			fc.asyncProperty(fc.constantFrom(...Object.keys(rule)), odd, async (key, value) => {
				const text = JSON.stringify({
					acls: [{ ...rule, [key]: value }],
					tests: [{ src: "tag:b", deny: ["tag:a:1"] }],
				});
				// The test in it fails whenever the rule stands as it is written.
				const answer = await one.admin("PUT", "/v1/policy", text, { "if-match": before.etag });
				if (answer.status === 200) {
					const { body, etag } = await one.admin("GET", "/v1/policy");
					expect(body).toEqual(JSON.parse(text));
					expect((await one.admin("PUT", "/v1/policy", JSON.stringify(before.body), { "if-match": etag })).etag).toBe(
						before.etag,
					);
				} else expect(answer, text.slice(0, 300)).toMatchObject({ status: 422, body: { error: expect.any(String) } });
			}),
			{ numRuns: 150 },
		);
		expect((await one.admin("GET", "/v1/policy")).body).toEqual(before.body);
	});
});
