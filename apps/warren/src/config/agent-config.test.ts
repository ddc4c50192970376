import { mkdirSync, writeFileSync } from "node:fs";
import { tempFolder } from "@warren/testkit";
import { expect, it } from "vitest";
import { parseAgentConfig } from "./backbone-config.ts";

const token = (service: string) => `mosb_${service}_${"x".repeat(43)}`;
const good = { service: "web", target: "127.0.0.1:8080", token: token("web") };

function parse(file: object, environment: Record<string, string> = {}, flags: Record<string, unknown> = {}) {
	using folder = tempFolder("agent-config");
	const config = folder.file("agents.json");
	writeFileSync(config, JSON.stringify(file));
	return parseAgentConfig({ config, backbone: "https://mos.example.net", ...flags }, environment);
}

it("an agent's file is taken as it is documented; what it does not say, the flags do", () => {
	const [web, db] = parse(
		{
			services: [good, { service: "db", target: "[::1]:5432", token: token("db"), proxyProtocol: true, name: "box-1" }],
		},
		{ BACKBONE_TRANSPORT: "websocket" },
	);
	expect(web).toMatchObject({
		target: { host: "127.0.0.1", port: 8080 },
		transport: "websocket",
		proxyProtocol: false,
	});
	expect(db).toMatchObject({ target: { host: "::1", port: 5432 }, name: "box-1", proxyProtocol: true });
});

it.each([
	[
		"a port that is none",
		{ services: [{ ...good, target: "127.0.0.1:70000" }] },
		/target: .*65535 \(was "127.0.0.1:70000"\)/,
	],
	["port 0", { services: [{ ...good, target: "127.0.0.1:0" }] }, /target: .*1 to 65535 \(was "127.0.0.1:0"\)/],
	["a misspelt word", { services: [{ ...good, proxyprotocol: true }] }, /services\.0: .*proxyprotocol/],
	["a misspelt word of all services", { transports: "parked", services: [good] }, /transports/],
	["another service's token", { services: [{ ...good, service: "db" }] }, /"db" has the token of "web"/],
])("…and %s is refused in words", (_what, file, happened) => {
	expect(() => parse(file)).toThrow(happened);
});

it("a service without a token is told where its token goes", () => {
	const { token: _token, ...bare } = good;
	expect(() => parse({ services: [bare] }, { BACKBONE_SERVICE_TOKEN: token("web") })).toThrow(
		expect.objectContaining({
			message: 'Service "web" has no token.',
			fix: expect.stringMatching(/token or tokenFile in .*agents\.json/),
		}),
	);
	expect(() => parseAgentConfig({ ...bare, backbone: "https://mos.example.net" }, {})).toThrow(
		expect.objectContaining({ fix: "Set BACKBONE_SERVICE_TOKEN." }),
	);
});

it("what the file names lies beside it, wherever the agent is started; what a flag names, where it is started", () => {
	using folder = tempFolder("agent-config");
	mkdirSync(folder.file("etc"));
	const config = folder.file("etc/agents.json");
	const { token: _token, ...bare } = good;
	writeFileSync(folder.file("etc/web.token"), `${token("web")}\n`);
	writeFileSync(folder.file("etc/ca.crt"), "the file's");
	writeFileSync(folder.file("ca.crt"), "the flag's");
	const write = (ca: object) =>
		writeFileSync(config, JSON.stringify({ ...ca, services: [{ ...bare, tokenFile: "web.token" }] }));
	const read = () => parseAgentConfig({ config, backbone: "https://mos.example.net", ca: folder.file("ca.crt") }, {});
	write({ ca: "ca.crt" });
	expect(read()).toMatchObject([{ token: token("web"), ca: "the file's" }]);
	write({});
	expect(read()).toMatchObject([{ token: token("web"), ca: "the flag's" }]);
	write({ ca: "gone.crt" });
	expect(read).toThrow(folder.file("etc/gone.crt"));
});
