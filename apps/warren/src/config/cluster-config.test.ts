import { writeFileSync } from "node:fs";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { parseHubConfig } from "./hub-config.ts";

const database = "postgres://warren@127.0.0.1/warren";
const nats = "nats://127.0.0.1";
const parse = (flags: Record<string, unknown>, environment: Record<string, string> = {}) =>
	parseHubConfig({ name: "hub1", data: "/nowhere", ...flags }, environment).cluster;
const refused = (flags: Record<string, unknown>, environment: Record<string, string> = {}) => {
	try {
		parse(flags, environment);
	} catch (thrown) {
		return thrown as { code: string; message: string; fix: string };
	}
	throw new Error("it was taken");
};

describe("where several instances keep their state", () => {
	it("is nowhere unless told, and half of it is refused", () => {
		expect(parse({})).toBeNull();
		expect(refused({ database })).toMatchObject({ code: "bad_config", message: expect.stringContaining("--nats") });
		expect(refused({ nats })).toMatchObject({ code: "bad_config", message: expect.stringContaining("--database") });
	});

	it("is read from URLs, sockets and several servers among them", () => {
		expect(
			parse({
				database: "postgres://a%40b@localhost:5433/w?host=/run/postgresql",
				nats: "nats://127.0.0.1,nats://[::1]:4333",
			}),
		).toEqual({
			postgres: { host: "/run/postgresql", port: 5433, database: "w", user: "a@b" },
			nats: { servers: ["127.0.0.1:4222", "[::1]:4333"], name: "warren hub1" },
			plain: false,
		});
	});

	it("takes a password from the environment or a file, never from the command line", () => {
		using folder = tempFolder("passwords");
		writeFileSync(folder.file("db"), "from a file\n");
		expect(refused({ database: "postgres://warren:secret@127.0.0.1/warren", nats })).toMatchObject({
			code: "bad_config",
			fix: expect.stringContaining("WARREN_DATABASE"),
		});
		expect(refused({ database: "postgres://warren:secret@127.0.0.1/warren", nats }).message).not.toContain("secret");
		expect(refused({ database, nats: "nats://u:secret@127.0.0.1" }).fix).toContain("WARREN_NATS");
		const fromEnvironment = parse(
			{},
			{ WARREN_DATABASE: "postgres://warren:p%20w@127.0.0.1/warren", WARREN_NATS: "nats://u:n@127.0.0.1" },
		);
		expect(fromEnvironment).toMatchObject({ postgres: { password: "p w" }, nats: { user: "u", password: "n" } });
		expect(parse({ database, nats, databasePasswordFile: folder.file("db") })?.postgres.password).toBe("from a file");
		expect(refused({ database, nats, databasePasswordFile: folder.file("missing") }).code).toBe("bad_config");
		expect(refused({ database, nats: "nats://u@127.0.0.1" }).message).toContain("without a password");
	});

	it("is not reached over a network without TLS, unless that is said", () => {
		const far = { database: "postgres://warren@db.example.com/warren", nats: "nats://bus.example.com" };
		expect(refused(far)).toMatchObject({
			code: "unsafe_config",
			message: expect.stringMatching(/db\.example\.com.*bus\.example\.com/),
		});
		expect(parse({ ...far, plainBackends: true })?.plain).toBe(true);
		using folder = tempFolder("ca");
		writeFileSync(folder.file("ca.crt"), "PEM");
		const safe = parse({ ...far, databaseCa: folder.file("ca.crt"), natsCa: folder.file("ca.crt") });
		expect(safe).toMatchObject({ plain: false, postgres: { ca: "PEM" }, nats: { ca: "PEM" } });
		expect(refused({ database, nats: "tls://127.0.0.1" }).message).toContain("whose certificate");
	});

	it("is refused when it is no such URL", () => {
		for (const wrong of ["mysql://a@b/c", "postgres://127.0.0.1/warren", "postgres://warren@127.0.0.1", "warren"])
			expect(refused({ database: wrong, nats }).code, wrong).toBe("bad_config");
		expect(refused({ database, nats: "http://127.0.0.1" }).code).toBe("bad_config");
	});
});
