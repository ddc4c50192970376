import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { run } from "@warren/net";
import { commandEnvironment, startNode, tempFolder } from "@warren/testkit";
import { describe, expect, it, vi } from "vitest";
import { DataFolder } from "../config/data-folder.ts";

// Several processes a test, which a busy machine starts one after another.
vi.setConfig({ testTimeout: 180_000 });

const main = fileURLToPath(new URL("../main.js", import.meta.url));

/** Runs a command as a person would, with a HOME of its own. */
async function warren(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
	using home = tempFolder("cli");
	const result = await run(process.execPath, [main, ...args], {
		// Bounds a hang on a busy machine, and times nothing.
		timeoutMs: 60_000,
		env: commandEnvironment(home.path, { XDG_STATE_HOME: home.path, ...env }),
	});
	if (result.outcome !== "exited") throw new Error(result.message);
	return result;
}

describe("commands on a machine whose node runs", () => {
	it("status, peers and doctor show it, for people and as JSON", async () => {
		await using node = await startNode({ name: "burrow" });
		const data = ["--data", node.data];
		const status = await warren(["status", ...data, "--json"]);
		expect(JSON.parse(status.stdout)).toMatchObject({
			node: { name: "burrow", fingerprint: node.fingerprint },
			health: {},
		});
		expect((await warren(["status", ...data])).stdout).toContain("burrow, version");

		const added = await warren(["peers", "add", "127.0.0.1", "1", "--name", "attic", ...data, "--json"]);
		const peer = JSON.parse(added.stdout) as { id: string };
		expect(peer).toMatchObject({ name: "attic", reachable: false, error: { code: "refused" } });
		expect((await warren(["peers", ...data])).stdout).toMatch(/down\s+attic\s+\S+\s+127\.0\.0\.1:1/);
		expect(await warren(["peers", "remove", peer.id, ...data])).toMatchObject({ code: 0 });
		expect(await warren(["peers", "remove", peer.id, ...data])).toMatchObject({
			code: 1,
			stderr: expect.stringContaining(peer.id),
		});

		const doctor = await warren(["doctor", ...data, "--json"]);
		expect((JSON.parse(doctor.stdout) as { findings: unknown[] }).findings).toContainEqual(
			expect.objectContaining({ check: "node", ok: true, found: expect.stringContaining("running") }),
		);
	});

	it("the console token is the owner's alone, and dies with the process", async () => {
		await using node = await startNode();
		const file = `${node.data}/console.json`;
		const { token } = JSON.parse(readFileSync(file, "utf8")) as { token: string };
		expect((await node.fetch("/api/status", { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
		expect(
			(await node.fetch("/api/status", { headers: { authorization: `Bearer ${token.slice(0, -1)}x` } })).status,
		).toBe(401);
		expect(await node.stop()).toBe(0);
		expect(existsSync(file)).toBe(false);
	});
});

describe("commands without a node", () => {
	it("say so, and what to do", async () => {
		expect(await warren(["status"])).toMatchObject({
			code: 1,
			stdout: "",
			stderr: expect.stringContaining("warren up"),
		});
	});

	it("a port that is taken is named, with the way out, and nothing is left running", async () => {
		await using node = await startNode();
		using folder = tempFolder("taken");
		const second = await warren([
			"up",
			"--data",
			folder.file("data"),
			"--host",
			"127.0.0.1",
			"--port",
			String(node.port),
		]);
		expect(second).toMatchObject({
			code: 1,
			stderr: expect.stringMatching(new RegExp(`Port ${node.port} is taken[^]*--port`)),
		});
		DataFolder.open(folder.file("data")).close();
	});

	it("a file that is no database is refused with its name, and left as it is", async () => {
		using folder = tempFolder("newer");
		mkdirSync(folder.file("data"));
		writeFileSync(folder.file("data/node.db"), "not a database, but long enough to be looked at as one by the engine");
		const started = await warren(["up", "--data", folder.file("data"), "--host", "127.0.0.1", "--port", "0"]);
		expect(started).toMatchObject({ code: 1, stderr: expect.stringContaining("node.db") });
		expect(readFileSync(folder.file("data/node.db"), "utf8")).toContain("not a database");
	});
});

const notLinux = "systemd is Linux's";

describe("warren service", () => {
	it("prints a unit whose paths and flags survive spaces, quotes and percent signs", async (context) => {
		context.skip(process.platform !== "linux", notLinux);
		const { stdout } = await warren([
			"service",
			"install",
			"--print",
			"--data",
			'/srv/my "data" 100%',
			"--",
			"--port",
			"6000",
		]);
		expect(stdout).toContain('"up" "--json" "--data" "/srv/my \\"data\\" 100%%" "--port" "6000"');
		expect(stdout).toContain("Restart=always");
	});

	it("installs, starts and removes through systemctl, and says what failed", async (context) => {
		context.skip(process.platform !== "linux", notLinux);
		using folder = tempFolder("systemd");
		// A stand-in that writes down what it was asked: this machine's own service manager is not a test's to change.
		const log = folder.file("log");
		writeFileSync(
			folder.file("systemctl"),
			`#!/bin/sh\necho "$@" >> ${log}\ncase "$*" in *enable*) exit $FAIL;; esac\n`,
		);
		chmodSync(folder.file("systemctl"), 0o755);
		const env = {
			PATH: `${folder.path}:${process.env["PATH"]}`,
			XDG_CONFIG_HOME: folder.file("config"),
			WARREN_SERVICE_FOLDER: folder.file("units"),
			FAIL: "0",
		};
		const installed = await warren(["service", "install"], env);
		expect(installed).toMatchObject({ code: 0, stdout: expect.stringContaining("Installed") });
		const unit = folder.file("units/warren.service");
		expect(readFileSync(unit, "utf8")).toContain("ExecStart=");
		expect(readFileSync(log, "utf8")).toMatch(/daemon-reload\n.*enable --now warren.service\n/);
		expect(await warren(["service", "uninstall"], env)).toMatchObject({ code: 0 });
		expect(existsSync(unit)).toBe(false);
		expect(await warren(["service", "install"], { ...env, FAIL: "4" })).toMatchObject({
			code: 1,
			stderr: expect.stringContaining("systemctl"),
		});
		expect(existsSync(unit), "what did not start stays behind").toBe(false);
	});

	it("installs nothing that `warren up` would refuse", async (context) => {
		context.skip(process.platform !== "linux", notLinux);
		using folder = tempFolder("systemd");
		const env = { XDG_CONFIG_HOME: folder.file("config"), WARREN_SERVICE_FOLDER: folder.file("units") };
		for (const [flag, said] of [
			["--prot=5151", "unknown option '--prot=5151'"],
			["somewhere", "too many arguments"],
			["--port=none", "port"],
		] as const)
			expect(await warren(["service", "install", "--", flag], env)).toMatchObject({
				code: 1,
				stderr: expect.stringContaining(said),
			});
		expect(existsSync(folder.file("units/warren.service"))).toBe(false);
		expect(await warren(["service", "install", "--print", "--", "--port", "5161"], env)).toMatchObject({
			code: 0,
			stdout: expect.stringContaining('"--port" "5161"'),
		});
	});
});

describe("warren completion", () => {
	it("completes commands, their own commands and flags in bash", async () => {
		const script = (await warren(["completion", "bash"])).stdout;
		const complete = async (...words: string[]) => {
			const asked = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})\nCOMP_CWORD=${words.length - 1}\n_warren\necho "\${COMPREPLY[@]}"`;
			const result = await run("bash", ["-c", asked], { timeoutMs: 60_000 });
			return result.outcome === "exited" ? result.stdout.trim().split(" ") : [];
		};
		expect(await complete("warren", "stat")).toEqual(["status"]);
		expect(await complete("warren", "peers", "a")).toEqual(["add"]);
		expect(await complete("warren", "up", "--tls")).toEqual(["--tls-cert", "--tls-key"]);
		expect(await complete("warren", "pro")).toEqual([""]);
	});

	it("names the shells that it knows", async () => {
		expect(await warren(["completion", "cmd"])).toMatchObject({ code: 1, stderr: expect.stringContaining("bash") });
	});
});
