import { HealthTable, silentLogger, systemClock } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { makeCertificates, startCoordinator, TestJoiner } from "../coordinator/coordinator.testing.ts";
import { CoordinatorLink, type LinkTls } from "./coordinator-link.ts";
import { LinkCertificate } from "./link-certificate.ts";

function open(url: string, tls: LinkTls) {
	const clock = new VirtualClock();
	const health = new HealthTable(clock);
	const link = new CoordinatorLink([url], tls, systemClock);
	const disk: { read: () => LinkTls | null } = { read: () => tls };
	const certificate = new LinkCertificate({ link, health, logger: silentLogger, read: () => disk.read() });
	const shown = async () => {
		await clock.advance(60_000);
		return health.list().map(({ code, title }) => `${code}: ${title}`);
	};
	return { link, disk, certificate, shown, [Symbol.asyncDispose]: () => link.close() };
}

describe("a joiner's certificate", () => {
	it("J12 that is renewed on disk is used from the next connection on, and what is open goes on", async () => {
		using certificates = await makeCertificates({ a: ["x"], b: ["x"], c: ["x"] });
		using strangers = await makeCertificates({ a: ["x"] });
		await using server = await startCoordinator({ tls: certificates.server });
		const [first, other] = [certificates.peers["a"] as LinkTls, certificates.peers["b"] as LinkTls];
		await using peer = new TestJoiner(server.url, first);
		await peer.register();
		await using made = open(server.url, first);
		const roster = () => made.link.call<{ roster: string }>("GET", `/v1/mesh/roster?peer_id=${peer.peerId}`);
		expect(await roster()).toHaveProperty("roster");

		const opened = Promise.withResolvers<void>();
		const added = Promise.withResolvers<string>();
		const stop = new AbortController();
		const streaming = made.link.stream(
			`/v1/mesh/peers/stream?peer_id=${peer.peerId}`,
			null,
			({ event, data }) => {
				opened.resolve();
				if (event === "peer_added" && data.includes("late")) added.resolve(data);
			},
			stop.signal,
		);
		// The opening burst: somebody is there to be told of.
		await using second = new TestJoiner(server.url, other);
		expect(await second.register({ display_name: "early" })).toMatchObject({ status: 200 });
		await opened.promise;

		// One whose certificate the coordinator takes, but for another peer: it is asked with that one now.
		made.disk.read = () => other;
		made.certificate.look();
		await expect(roster()).rejects.toMatchObject({ status: expect.any(Number) });
		// One of another CA: not even that.
		made.disk.read = () => ({ ...(strangers.peers["a"] as LinkTls), ca: first.ca });
		made.certificate.look();
		await expect(roster()).rejects.toMatchObject({ code: "coordinator_away" });
		// Renewed, with a key of its own.
		const renewed = await certificates.issue("a", ["x"]);
		expect(renewed.cert).not.toBe(first.cert);
		made.disk.read = () => renewed;
		made.certificate.look();
		expect(await roster()).toHaveProperty("roster");
		expect(await made.shown()).toEqual([]);

		// The stream of the first one was never cut.
		await using third = new TestJoiner(server.url, certificates.peers["c"]);
		expect(await third.register({ display_name: "late" })).toMatchObject({ status: 200 });
		expect(await added.promise).toContain("late");
		stop.abort(new Error("the test ends"));
		await expect(streaming).rejects.toThrow();
	});

	it("J12 of which half is there yet, or that is none, is left alone, and health says so after a minute", async () => {
		using certificates = await makeCertificates({ a: ["x"], b: ["x"] });
		await using server = await startCoordinator({ tls: certificates.server });
		const first = certificates.peers["a"] as LinkTls;
		const { cert } = certificates.peers["b"] as LinkTls;
		await using peer = new TestJoiner(server.url, first);
		await peer.register();
		await using made = open(server.url, first);
		const cases: readonly (readonly [() => LinkTls | null, RegExp])[] = [
			[() => ({ ...first, cert }), /overlay-certificate: .*the key is not the certificate's/],
			[() => ({ ...first, cert: "half a certif" }), /overlay-certificate/],
			[() => ({ ...first, ca: "" }), /overlay-certificate/],
			[
				() => {
					throw new Error("peer.crt is gone");
				},
				/overlay-certificate: .*peer\.crt is gone/,
			],
		];
		for (const [read, said] of cases) {
			made.disk.read = read;
			made.certificate.look();
			expect(await made.shown()).toEqual([expect.stringMatching(said)]);
			expect(made.link.tls).toBe(first);
			expect(await made.link.call("GET", `/v1/mesh/roster?peer_id=${peer.peerId}`)).toHaveProperty("roster");
		}
		made.disk.read = () => first;
		made.certificate.look();
		expect(await made.shown()).toEqual([]);
	});
});
