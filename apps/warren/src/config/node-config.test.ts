import { describe, expect, it } from "vitest";
import { parseNodeConfig } from "./node-config.ts";

const home = { HOME: "/home/ada", XDG_STATE_HOME: "/home/ada/state" };

describe("a node's settings", () => {
	it("come from flags, else the environment, else defaults", () => {
		const environment = { ...home, WARREN_PORT: "6000", WARREN_NAME: "attic", WARREN_HOSTNAME: "a.example, b.example" };
		const config = parseNodeConfig({ port: "7000" }, environment);
		expect(config).toMatchObject({
			port: 7000,
			name: "attic",
			hostname: ["a.example", "b.example"],
			http: false,
			peerPort: 5151,
		});
		expect(parseNodeConfig({}, home)).toMatchObject({ port: 5151, data: "/home/ada/state/warren" });
	});

	it.each([
		[{ port: "70000" }, {}, /port.*70000/],
		[{ port: "many" }, {}, /port/],
		[{ logLevel: "loud" }, {}, /--log-level.*loud/],
		[{ tlsCert: "a.pem" }, {}, /--tls-key/],
		[{}, { WARREN_USER: "ada" }, /WARREN_PIN/],
	])("%j %j are refused with the setting and its value", (flags, environment, message) => {
		expect(() => parseNodeConfig(flags, { ...home, ...environment })).toThrow(message);
	});

	it.each(["0.0.0.0", "::", "192.168.1.4", "burrow.local"])("plain HTTP on %s is refused, with the way out", (host) => {
		expect(() => parseNodeConfig({ http: true, host }, home)).toThrow(
			expect.objectContaining({ code: "unsafe_config", fix: expect.stringContaining("--host 127.0.0.1") }),
		);
	});

	it.each(["127.0.0.1", "localhost", "::1", "127.9.9.9"])("plain HTTP on %s is allowed", (host) => {
		expect(parseNodeConfig({ http: true, host }, home).host).toBe(host);
	});

	it("plain HTTP without a host listens on loopback", () => {
		expect(parseNodeConfig({ http: true }, home).host).toBe("127.0.0.1");
	});

	it("never shows a PIN in a refusal", () => {
		const environment = { ...home, WARREN_PIN: "hunter2-hunter2", WARREN_PORT: "x" };
		expect(() => parseNodeConfig({}, environment)).toThrow(
			expect.objectContaining({ message: expect.not.stringContaining("hunter2") }),
		);
	});
});
