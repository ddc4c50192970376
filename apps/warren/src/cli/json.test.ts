import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { run } from "@warren/net";
import { commandEnvironment, type StartedNode, startCommand, startNode, tempFolder } from "@warren/testkit";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allCommands } from "./command-line.ts";

/**
 * `--json` of every command: what it prints is JSON and nothing else, and its failure is one JSON object on standard
 * error. A command that is not in one of the three tables fails this test.
 */
const main = fileURLToPath(new URL("../main.js", import.meta.url));
/** Bounds a hang on a busy machine. */
const timeoutMs = 60_000;

/** Answers and ends: arguments, and which code its failure has here, if it must fail. `DATA` and `TMP` are put in. */
const asked: Readonly<Record<string, readonly [args: string, refusal?: string]>> = {
	status: ["--data DATA"],
	peers: ["--data DATA"],
	"peers add": ["127.0.0.1 9 --name shed --data DATA"],
	"peers trust": [`nobody ${"ab".repeat(32)} --data DATA`, "unknown_peer"],
	"peers unpin": ["nobody --data DATA", "unknown_peer"],
	"peers remove": ["nobody --data DATA", "unknown_peer"],
	doctor: ["--data DATA"],
	logs: ["--data DATA"],
	invite: ["--data DATA"],
	login: ["http://127.0.0.1:9 --data TMP/none", "hub_unreachable"],
	logout: ["--data TMP/none", "not_signed_in"],
	whoami: ["--data TMP/none", "not_signed_in"],
	"keys set": ["openai --data TMP", "no_key"],
	"keys remove": ["openai --data TMP"],
	"keys list": ["--data TMP"],
	"ca init": ["--out TMP/ca"],
	"ca issue-peer": ["--name attic --ca-dir TMP/ca --out TMP/attic"],
	"ca list": ["--ca-dir TMP/ca"],
	"ca revoke": ["attic --ca-dir TMP/ca"],
	"ca rotate": ["--ca-dir TMP/ca"],
	"ca retire": ["--ca-dir TMP/ca --force"],
	"coordinator peers": ["--coordinator http://127.0.0.1:9", "not_running"],
	"coordinator remove": ["attic --coordinator http://127.0.0.1:9", "not_running"],
	"coordinator readmit": ["attic --coordinator http://127.0.0.1:9", "not_running"],
	"coordinator explain": ["a b --coordinator http://127.0.0.1:9", "not_running"],
	"coordinator policy get": ["--coordinator http://127.0.0.1:9", "not_running"],
	"coordinator policy preview": ["TMP/policy.json --coordinator http://127.0.0.1:9", "not_running"],
	"coordinator policy set": ["TMP/policy.json --coordinator http://127.0.0.1:9", "not_running"],
	"overlay status": ["--data TMP/none", "not_joined"],
	"overlay leave": ["--data TMP/none --coordinator https://127.0.0.1:9", "bad_config"],
	"overlay add-device": ["phone --data TMP/none --coordinator https://127.0.0.1:9", "bad_config"],
	expose: ["--data DATA", "no_backbone"],
	migrate: ["", "usage"],
	backup: ["TMP/kept.tar.gz --data DATA"],
	restore: ["TMP/none.tar.gz --data TMP/restored", "*"],
	"service install": ["--print"],
	"service uninstall": [""],
	"service status": [""],
	completion: ["bash"],
};

/** Servers that start by themselves: one line when they are ready. */
const served: Readonly<Record<string, { readonly args: readonly string[]; readonly env?: Record<string, string> }>> = {
	node: { args: ["--host", "127.0.0.1", "--port", "0"], env: { WARREN_SIDECAR_PORT: "0" } },
	hub: { args: ["--host", "127.0.0.1", "--port", "0", "--http"] },
	sidecar: { args: ["--port", "0", "--hub", "http://127.0.0.1:9"] },
	gateway: { args: ["--host", "127.0.0.1", "--port", "0"] },
	backbone: {
		args: ["--host", "127.0.0.1", "--port", "0", "--http", "--domain", "localhost", "--stream-ports", "0-0"],
	},
	coordinator: {
		args: ["--bind", "127.0.0.1:0", "--stun-port", "0", "--insecure-no-mtls"],
		env: { WARREN_ALLOW_INSECURE: "1" },
	},
};

/** Those whose line, or whose change to this installation, another test is about. */
const elsewhere: Readonly<Record<string, string>> = {
	up: "every test that starts a node reads its line",
	join: "e2e/src/warren-pair.ts reads its line",
	"overlay join": "cli/overlay-commands.test.ts",
	agent: "backbone/backbone-processes.test.ts",
	forward: "backbone/backbone-processes.test.ts",
	update: "update/update-checkout.test.ts: it changes the checkout that it runs from",
};

function actionsOf(command: Command, path: readonly string[] = []): { path: string; command: Command }[] {
	return command.commands
		.filter((each) => !(each as unknown as { _hidden: boolean })._hidden)
		.flatMap((each) => {
			const own = [...path, each.name()];
			const acts = (each as unknown as { _actionHandler: unknown })._actionHandler != null;
			return [...(acts ? [{ path: own.join(" "), command: each }] : []), ...actionsOf(each, own)];
		});
}

let node: StartedNode;
let folder: ReturnType<typeof tempFolder>;
beforeAll(async () => {
	folder = tempFolder("json");
	mkdirSync(folder.file("units"));
	writeFileSync(folder.file("policy.json"), '{"acls":[]}');
	// A stand-in: this machine's own service manager is not a test's to change.
	writeFileSync(folder.file("systemctl"), "#!/bin/sh\necho it runs\n", { mode: 0o755 });
	node = await startNode({ command: ["up"], env: { WARREN_SIDECAR_PORT: "0" } });
}, 120_000);
afterAll(async () => {
	await node?.[Symbol.asyncDispose]();
	folder?.[Symbol.dispose]();
});

const jsonLines = (text: string) =>
	text
		.split("\n")
		.filter((line) => line !== "")
		.map((line) => JSON.parse(line) as object);

describe("every command", () => {
	it("has --json, and a row here", async () => {
		const actions = actionsOf(await allCommands());
		expect(actions.length).toBeGreaterThan(40);
		const flagless = actions.filter(({ command }) => !command.options.some(({ long }) => long === "--json"));
		expect(flagless.map(({ path }) => path)).toEqual([]);
		const rows = [...Object.keys(asked), ...Object.keys(served), ...Object.keys(elsewhere)];
		expect(actions.map(({ path }) => path).sort()).toEqual(rows.sort());
	});

	it.each(Object.entries(asked))(
		"warren %s --json prints JSON alone",
		async (path, [args, refusal]) => {
			const words = args === "" ? [] : args.replaceAll("DATA", node.data).replaceAll("TMP", folder.path).split(" ");
			const result = await run(process.execPath, [main, ...path.split(" "), ...words, "--json"], {
				timeoutMs,
				env: commandEnvironment(folder.file("home"), {
					PATH: `${folder.path}:${process.env["PATH"]}`,
					XDG_STATE_HOME: folder.file("state"),
					WARREN_SERVICE_FOLDER: folder.file("units"),
					WARREN_ADMIN_TOKEN: "an-administrator-s-token",
				}),
			});
			if (result.outcome !== "exited") throw new Error(result.message);
			if (refusal === undefined) {
				// A doctor that found something says so by its status as well.
				expect([path === "doctor" ? 0 : result.code, result.stderr]).toEqual([0, ""]);
				expect(jsonLines(result.stdout).length).toBeGreaterThan(0);
				return;
			}
			expect([result.code, result.stdout]).toEqual([1, ""]);
			const told = jsonLines(result.stderr) as { error: string; message: string }[];
			expect(told).toHaveLength(1);
			expect(told[0]?.message).toMatch(/\S/);
			if (refusal !== "*") expect(told[0]?.error).toBe(refusal);
		},
		120_000,
	);

	it.each(Object.entries(served))(
		"warren %s --json says in one line when it is ready",
		async (path, { args, env }) => {
			await using command = startCommand(
				[path, ...args, "--log-level", "error", "--json"],
				env === undefined ? {} : { env },
			);
			const ready = await command.line<{ pid: number; url: string }>();
			expect(ready).toMatchObject({ pid: command.pid, url: expect.stringMatching(/^https?:\/\//) });
			expect(await command.kill("SIGTERM")).toBe(0);
		},
		120_000,
	);
});
