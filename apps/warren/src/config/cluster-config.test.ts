import { writeFileSync } from "node:fs";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { parseBackboneConfig } from "./backbone-config.ts";
import { parseGatewayConfig } from "./gateway-config.ts";
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

describe("where a role of whose instances one leads keeps its state", () => {
	const gateway = (flags: Record<string, unknown>) => parseGatewayConfig({ data: "/nowhere", ...flags }, {}).shared;
	const no = (flags: Record<string, unknown>) => {
		try {
			gateway(flags);
		} catch (thrown) {
			return (thrown as { code: string }).code;
		}
		return "taken";
	};

	it("is its own file unless told; an instance that others cannot find, half of it and an open way are refused", () => {
		expect(gateway({})).toBeNull();
		expect(gateway({ database, clusterAddress: "10.0.0.1:4000" })).toMatchObject({ address: "10.0.0.1:4000" });
		expect(gateway({ database, host: "10.0.0.1" })).toMatchObject({ address: null });
		expect(no({ database })).toBe("bad_config");
		expect(no({ database, host: "0.0.0.0" })).toBe("bad_config");
		expect(no({ clusterAddress: "10.0.0.1:4000" })).toBe("bad_config");
		expect(no({ database, clusterAddress: "10.0.0.1" })).toBe("bad_config");
		expect(no({ database: "postgres://warren:secret@127.0.0.1/warren", host: "10.0.0.1" })).toBe("bad_config");
		expect(no({ database: "postgres://warren@db.example.com/warren", host: "10.0.0.1" })).toBe("unsafe_config");
	});

	it("of a backbone needs both backends, and TLS to others", () => {
		const backbone = (flags: Record<string, unknown>) =>
			parseBackboneConfig({ data: "/nowhere", database, nats, ...flags }, {}).cluster;
		expect(backbone({ clusterUrl: "https://10.0.0.1:5152" })).not.toBeNull();
		expect(backbone({ http: true })).not.toBeNull();
		expect(() => backbone({})).toThrow("does not know its address");
		expect(() => backbone({ clusterUrl: "http://10.0.0.1:5152" })).toThrow("in the clear");
		expect(() => backbone({ nats: undefined })).toThrow("--nats");
	});
});
