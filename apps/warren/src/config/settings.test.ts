import { chmodSync, writeFileSync } from "node:fs";
import { tempFolder } from "@warren/testkit";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { allCommands } from "../cli/command-line.ts";
import { agentSettings, backboneSettings, forwardSettings } from "./backbone-config.ts";
import { coordinatorSettings } from "./coordinator-config.ts";
import { gatewaySettings } from "./gateway-config.ts";
import { hubSettings } from "./hub-config.ts";
import { joinerSettings } from "./joiner-config.ts";
import { nodeSettings } from "./node-config.ts";
import { type RoleSettings, readSettings } from "./settings.ts";
import { sidecarSettings } from "./sidecar-config.ts";

const role = {
	name: "gateway",
	schema: z.object({
		data: z.string().default("here"),
		port: z.coerce.number().pipe(z.int().max(65535)).default(1),
		http: z.boolean().default(false),
		stun: z.boolean().default(true),
		hostname: z.array(z.string()).default([]),
		invitation: z.string().min(8).optional(),
	}),
	variables: { port: ["PORT", "OTHER_PORT"], http: "HTTP", stun: "STUN", hostname: "NAMES", invitation: "INVITATION" },
	secrets: ["invitation"],
} satisfies RoleSettings;

function withFile(settings: unknown, mode = 0o600) {
	const folder = tempFolder("settings");
	const path = folder.file("warren.json");
	writeFileSync(path, typeof settings === "string" ? settings : JSON.stringify(settings));
	chmodSync(path, mode);
	return { path, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

describe("settings", () => {
	it("are the flag's, else the variable's, else the file's, else the default's", () => {
		using file = withFile({ gateway: { port: 4, hostname: ["file.example"] }, hub: { port: 9 } });
		const environment = { WARREN_CONFIG: file.path };
		expect(readSettings(role, {}, {})).toMatchObject({ port: 1, http: false, hostname: [] });
		expect(readSettings(role, {}, environment)).toMatchObject({ port: 4, hostname: ["file.example"] });
		expect(readSettings(role, {}, { ...environment, OTHER_PORT: "3" }).port).toBe(3);
		expect(readSettings(role, {}, { ...environment, OTHER_PORT: "3", PORT: "2" }).port).toBe(2);
		expect(readSettings(role, { port: "5" }, { ...environment, PORT: "2" }).port).toBe(5);
		expect(readSettings(role, {}, { ...environment, PORT: "" }).port).toBe(4);
	});

	it("take switches and lists from the environment, and a secret from nowhere that others read", () => {
		const environment = { HTTP: "true", STUN: "0", NAMES: "a.example, b.example,", INVITATION: "long enough" };
		expect(readSettings(role, { invitation: "from a flag", stun: true }, environment)).toMatchObject({
			http: true,
			stun: false,
			hostname: ["a.example", "b.example"],
			invitation: "long enough",
		});
		expect(readSettings(role, { stun: false }, { STUN: "1" }).stun).toBe(false);
	});

	it.each<[string, Record<string, unknown>, Record<string, string>, unknown, RegExp]>([
		["a flag", { port: "70000" }, {}, {}, /--port: .*was "70000"/],
		["a variable", {}, { OTHER_PORT: "many" }, {}, /OTHER_PORT: .*was "many"/],
		["a switch", {}, { HTTP: "yes" }, {}, /HTTP is "yes", which is neither on nor off/],
		["the file", {}, {}, { gateway: { port: -1.5 } }, /port in \/\S+warren\.json: .*was -1\.5/],
		[
			"a setting of the file that does not exist",
			{},
			{},
			{ gateway: { prot: 1 } },
			/gateway\.prot, and there is no such/,
		],
		[
			"a role of the file that does not exist",
			{},
			{},
			{ gatway: {} },
			/settings of "gatway", and there is no such role/,
		],
		["data in the file", {}, {}, { gateway: { data: "/srv" } }, /every command must know/],
		["a file of another shape", {}, {}, ["gateway"], /must be an object of roles/],
		["a file that is no JSON", {}, {}, "{", /cannot be read/],
	])("name %s that is wrong, with its value and what to do", (_what, flags, environment, settings, message) => {
		using file = withFile(settings);
		const read = () => readSettings(role, flags, { WARREN_CONFIG: file.path, ...environment });
		expect(read).toThrow(expect.objectContaining({ code: "bad_config", message: expect.stringMatching(message) }));
		expect(read).toThrow(expect.objectContaining({ fix: expect.stringMatching(/\S/) }));
	});

	it("show no secret in a refusal, and take none from a file that others may read", (context) => {
		expect(() => readSettings(role, {}, { INVITATION: "short" })).toThrow(
			expect.objectContaining({ message: expect.not.stringContaining('"short"') }),
		);
		context.skip(process.platform === "win32", "Windows keeps rights elsewhere");
		using file = withFile({ gateway: { invitation: "long enough" } }, 0o644);
		expect(() => readSettings(role, {}, { WARREN_CONFIG: file.path })).toThrow(
			expect.objectContaining({ code: "unsafe_config", fix: expect.stringContaining("chmod 600") }),
		);
		chmodSync(file.path, 0o600);
		expect(readSettings(role, {}, { WARREN_CONFIG: file.path }).invitation).toBe("long enough");
	});
});

const servers: Readonly<Record<string, RoleSettings>> = {
	up: nodeSettings,
	node: nodeSettings,
	hub: hubSettings,
	sidecar: sidecarSettings,
	gateway: gatewaySettings,
	coordinator: coordinatorSettings,
	backbone: backboneSettings,
	agent: agentSettings,
	forward: forwardSettings,
	"overlay join": joinerSettings,
};

describe.each(Object.entries(servers))("warren %s", (path, settings) => {
	it("has a variable for each flag, and its help names it", async () => {
		const command = path
			.split(" ")
			.reduce<Command>((at, word) => at.commands.find((each) => each.name() === word) as Command, await allCommands());
		expect(command.options.length).toBeGreaterThan(4);
		const faults = command.options.flatMap((option) => {
			const flag = option.attributeName();
			const field = settings.renamed?.[flag] ?? flag;
			const names = [settings.variables[field] ?? []].flat();
			if (names.length === 0) return [`${option.long} has no variable`];
			if (names.some((name) => !option.description.includes(name))) return [`${option.long}: ${option.description}`];
			return settings.schema.shape[field] === undefined ? [`${option.long} is no setting`] : [];
		});
		expect(faults).toEqual([]);
	});
});
