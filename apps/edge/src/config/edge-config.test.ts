import { describe, expect, it } from "vitest";
import { parseEdgeConfig } from "./edge-config.ts";

const least = { WARREN_URL: "https://hub.example.com" };

describe("a hub's configuration on Workers", () => {
	it("needs its own origin alone, and offers nothing that was not configured", () => {
		const config = parseEdgeConfig({ ...least, HUB: {}, ROOMS: {} });
		expect(config).toMatchObject({ urls: ["https://hub.example.com"], setup: null, social: {} });
		expect(config.ai.environmentKeys.size).toBe(0);
		expect(config.ai.ollamaHost).toBe("");
	});

	it("takes several origins, the providers' keys and the services' registrations", () => {
		const config = parseEdgeConfig({
			WARREN_URL: "https://hub.example.com, https://hub.example.workers.dev/",
			OPENAI_API_KEY: "sk-1",
			GITHUB_CLIENT_ID: "id",
			GITHUB_CLIENT_SECRET: "secret",
		});
		expect(config.urls).toEqual(["https://hub.example.com", "https://hub.example.workers.dev"]);
		expect(config.ai.environmentKeys.get("OPENAI_API_KEY")).toBe("sk-1");
		expect(config.social).toEqual({ github: { clientId: "id", clientSecret: "secret" } });
	});

	it("takes a PostgreSQL with the secret that belongs to its tables: by TLS, unless it is on this machine", () => {
		const secret = "s".repeat(32);
		const parsed = (url: string) => parseEdgeConfig({ ...least, WARREN_DATABASE: url, WARREN_SECRET: secret }).database;
		expect(parsed("postgres://ada:p%40ss@db.example.com:6432/warren")).toMatchObject({
			secret,
			postgres: { host: "db.example.com", port: 6432, user: "ada", password: "p@ss", database: "warren", tls: true },
		});
		expect(parsed("postgresql://ada@[::1]/w")?.postgres).toMatchObject({ host: "::1", tls: false });
		expect(parsed("postgres://ada@127.0.0.1/w")?.postgres.tls).toBe(false);
		expect(parseEdgeConfig(least).database).toBeNull();
	});

	it.each([
		["a database without its secret", { ...least, WARREN_DATABASE: "postgres://a@b/c" }, /WARREN_SECRET: must be set/],
		["a secret without a database", { ...least, WARREN_SECRET: "s".repeat(32) }, /WARREN_DATABASE: must be set/],
		[
			"a database without a name",
			{ ...least, WARREN_DATABASE: "postgres://a@b", WARREN_SECRET: "s".repeat(32) },
			/lacks its host, its user or its database's name/,
		],
		[
			"a database of another kind",
			{ ...least, WARREN_DATABASE: "mysql://a:short@b/c", WARREN_SECRET: "s".repeat(32) },
			/WARREN_DATABASE: must be like/,
		],
		["no origin", {}, /WARREN_URL: must be set/],
		["a path in it", { WARREN_URL: "https://hub.example.com/hub" }, /without a path/],
		["what is no URL", { WARREN_URL: "hub.example.com" }, /not usable/],
		["a short setup secret", { ...least, WARREN_SETUP: "short" }, /WARREN_SETUP: must have 16/],
		[
			"half a registration",
			{ ...least, GOOGLE_CLIENT_ID: "id" },
			/GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET go together/,
		],
	])("refuses %s, naming it, and shows no secret", (_what, environment, message) => {
		expect(() => parseEdgeConfig(environment)).toThrow(message);
		expect(() => parseEdgeConfig(environment)).not.toThrow(/"short"/);
	});
});
