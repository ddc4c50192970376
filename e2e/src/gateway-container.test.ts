import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, cpSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { run } from "@warren/net";
import { freePort, tempFolder } from "@warren/testkit";
import { expect, it } from "vitest";

/**
 * The example's Dockerfile without a daemon: what it copies is copied, its npm runs as it stands there, and what it would
 * start is started as its user. The system around it is this one's; its base image and packages are not tried.
 */
const top = join(import.meta.dirname, "../..");
const example = join(top, "examples/gateway");
const minutes = 60_000;
/** `node` in the base image. */
const nodeUser = 1000;

const text = readFileSync(join(example, "Dockerfile"), "utf8");
const lineOf = (word: string) => new RegExp(`^${word} (.*)$`, "m").exec(text)?.[1] ?? "";
const listOf = (line: string) => JSON.parse(line.slice(line.indexOf("["))) as [string, ...string[]];

it("the gateway's Dockerfile makes one that runs as its user, tells its health, and drains", {
	timeout: 10 * minutes,
}, async (context) => {
	context.skip(process.env["WARREN_LONG_TESTS"] !== "1", "it installs everything anew: WARREN_LONG_TESTS=1 runs it");
	context.skip(process.getuid?.() !== 0, "another user is become as root");
	using folder = tempFolder("gateway-container");
	chmodSync(folder.path, 0o755);
	const home = folder.file("warren");
	const ignored = readFileSync(join(example, "Dockerfile.dockerignore"), "utf8")
		.split("\n")
		.filter((line) => line !== "" && !line.startsWith("#"));
	const listed = spawnSync("git", ["ls-files", "-z"], { cwd: top, encoding: "utf8" }).stdout.split("\0");
	const files = listed.filter(
		(file) => file !== "" && !ignored.some((each) => file === each || file.startsWith(`${each.replace(/\/$/, "")}/`)),
	);
	expect(files.length).toBeGreaterThan(500);
	for (const file of files) {
		mkdirSync(dirname(join(home, file)), { recursive: true });
		cpSync(join(top, file), join(home, file));
	}
	const install = /npm ci [^&]*/.exec(text)?.[0].trim().split(" ") ?? [];
	expect(install.slice(0, 2)).toEqual(["npm", "ci"]);
	const installed = await run("npm", install.slice(1), { cwd: home, timeoutMs: 8 * minutes });
	expect(installed).toMatchObject({ outcome: "exited", code: 0 });
	const data = folder.file("data");
	mkdirSync(data);
	chownSync(data, nodeUser, nodeUser);

	expect(lineOf("USER")).toBe("node");
	const port = String(await freePort());
	const [environment] = [
		Object.fromEntries(
			lineOf("ENV")
				.split(" ")
				.map((each) => each.split("=")),
		),
	];
	expect(environment).toEqual({ WARREN_GATEWAY_DATA: "/data", PORT: "4000" });
	const env = { PATH: process.env["PATH"] ?? "", WARREN_GATEWAY_DATA: data, PORT: port };
	const as = { cwd: home, env, uid: nodeUser, gid: nodeUser };
	const [program, ...args] = listOf(lineOf("CMD"));
	const [healthProgram, ...healthArgs] = listOf(lineOf("HEALTHCHECK"));
	const health = async () => {
		const child = spawn(healthProgram, healthArgs, { ...as, stdio: "ignore" });
		const [code] = (await once(child, "exit")) as [number | null];
		return code;
	};
	expect(await health(), "not yet").toBe(1);
	const gateway = spawn(program, [...args, "--json"], { ...as, stdio: ["ignore", "pipe", "inherit"] });
	const exited = once(gateway, "exit");
	const [line] = (await once(createInterface({ input: gateway.stdout }), "line")) as [string];
	expect(JSON.parse(line)).toMatchObject({ port: Number(port), data });
	expect(readFileSync(`/proc/${gateway.pid}/status`, "utf8")).toMatch(/^Uid:\t1000\t1000/m);
	expect(statSync(join(data, "gateway.db")).uid).toBe(nodeUser);
	expect(await health()).toBe(0);
	gateway.kill("SIGTERM");
	expect((await exited)[0]).toBe(0);
});
