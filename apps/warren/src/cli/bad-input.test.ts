import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { formatJoinCode, joinFingerprint } from "@warren/accounts";
import { type Clock, newSecret, systemClock, systemRandom } from "@warren/kernel";
import { Authority, run } from "@warren/net";
import { commandEnvironment, freePort, hostilePeer, startNode, tempFolder } from "@warren/testkit";
import { describe, expect, it, vi } from "vitest";

// Several processes a test, which a busy machine starts one after another.
vi.setConfig({ testTimeout: 180_000 });

/** What a new user gets wrong, and what the commands say: what happened, with the value, then what to do. */
const main = fileURLToPath(new URL("../main.js", import.meta.url));
const someCode = formatJoinCode({ secret: "x".repeat(43), fingerprint: "A".repeat(43) });
const alone = { WARREN_EDGE: "0", WARREN_OVERLAY: "0", WARREN_SIDECAR_PORT: "0" };

async function warren(
	args: readonly string[],
	env: Readonly<Record<string, string>> = {},
	through: readonly string[] = [],
	input = "",
) {
	using home = tempFolder("bad");
	const command = [...through, process.execPath, main, ...args];
	const result = await run(command[0] as string, command.slice(1), {
		timeoutMs: 60_000,
		input,
		env: commandEnvironment(home.path, { XDG_STATE_HOME: home.path, ...alone, ...env }),
	});
	if (result.outcome !== "exited") throw new Error(result.message);
	return result;
}

/** @param happened and what to do: both are there, and no stack of ours. */
function expectTold(
	result: { code: number | null; stdout: string; stderr: string },
	happened: RegExp,
	fix: RegExp,
): void {
	expect(result.stderr).toMatch(happened);
	expect(result.stderr).toMatch(fix);
	expect(result.stderr).not.toMatch(/unexpected failure|\n\s+at /);
	expect([result.code, result.stdout]).toEqual([1, ""]);
}

/** Through this a command has a disk of that size at the folder. */
const onDiskOf = (size: string, folder: string) => [
	...["unshare", "-m", "sh", "-c", `mount -t tmpfs -o size=${size} none "$0" && exec "$@"`],
	folder,
];
const canMount = (mount: readonly string[]) => spawnSync(mount[0] as string, [...mount.slice(1), "true"]).status === 0;

const join = (url: string, code = someCode) => warren(["join", url, "--no-start"], { WARREN_JOIN_CODE: code });

describe("joining", () => {
	it.each([
		["an address that is none", "not a url", /"not a url" is no address/, /https:\/\/burrow\.local:5151/],
		["plain HTTP", "http://localhost:5151", /http:\/\/localhost:5151 is not HTTPS/, /https:\/\//],
		[
			"a name that does not resolve",
			"https://nobody.invalid:5151",
			/nobody\.invalid:5151 .*does not resolve/,
			/address/,
		],
		["a port where nothing listens", "https://127.0.0.1:1", /127\.0\.0\.1:1 .*nothing listens/, /warren status/],
	])("with %s", async (_title, url, happened, fix) => {
		expectTold(await join(url), happened, fix);
	});

	it("with a code that is none, or none at all", async () => {
		for (const [code, happened] of [
			["12345", /no join code: one begins with wj_/],
			[someCode.slice(0, -5), /not whole: it has 85 characters, and one has 90/],
			[`${someCode.slice(0, -1)}!`, /letters, digits/],
			["https://burrow.local:5151/#pair=abc", /pairs a phone or a browser/],
		] as const)
			expectTold(await join("https://127.0.0.1:1", code), happened, /warren invite/);
		expectTold(await join("https://127.0.0.1:1/#pair=abc"), /pairs a phone/, /warren join https:\/\/127\.0\.0\.1:1$/m);
		expectTold(await warren(["join", "https://127.0.0.1:1", "--no-start"]), /No join code was given/, /warren invite/);
	});

	it("at a port that speaks plain HTTP", async () => {
		const server = createHttpServer((_request, response) => response.end("hi"));
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const { port } = server.address() as AddressInfo;
		expectTold(await join(`https://127.0.0.1:${port}`), /not with TLS/, /--http/);
		server.close();
	});

	it.each([
		["behind", 400 * 24 * 3600 * 1000, /is not valid yet/],
		["ahead", -40 * 365 * 24 * 3600 * 1000, /has ended/],
	])("with a clock that is %s the first machine's", async (_title, offsetMs, happened) => {
		const clock: Clock = {
			...systemClock,
			now: () => Date.now() + offsetMs,
			monotonic: () => systemClock.monotonic(),
		} as Clock;
		const { authority } = await Authority.create("Theirs", [], clock, systemRandom);
		const leaf = await authority.issue({ name: "atlas", hosts: ["127.0.0.1"] });
		const server = createServer({ cert: leaf.cert + authority.certPem, key: leaf.key });
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const { port } = server.address() as AddressInfo;
		const code = formatJoinCode({ secret: newSecret(systemRandom), fingerprint: joinFingerprint(authority.certPem) });
		expectTold(await join(`https://127.0.0.1:${port}`, code), happened, /Set the clocks of both machines/);
		server.close();
	});

	it("with a code as an argument, or on standard input", async () => {
		await using first = await startNode({ command: ["up"], env: alone });
		using folder = tempFolder("joined");
		const invite = async () => {
			const invited = await warren(["invite", "--json", "--data", first.data]);
			return (JSON.parse(invited.stdout) as { code: string }).code;
		};
		const join = (name: string, code: readonly string[], input: string) =>
			warren(["join", first.origin, ...code, "--no-start", "--name", name, "--data", folder.file(name)], {}, [], input);
		for (const done of [await join("attic", [await invite()], ""), await join("cellar", [], `${await invite()}\n`)])
			expect([done.code, done.stderr]).toEqual([0, expect.stringContaining("has joined")]);
		expectTold(await join("shed", [], "12345\n"), /no join code/, /warren invite/);
		expectTold(await join("shed", [], "\n"), /[Nn]o join code/, /warren invite/);
	});

	it("with a code that was used", async () => {
		await using first = await startNode({ command: ["up"], env: alone });
		const invited = await warren(["invite", "--json", "--data", first.data]);
		const { code } = JSON.parse(invited.stdout) as { code: string };
		using folder = tempFolder("joined");
		const args = ["join", first.origin, "--no-start", "--name", "attic"];
		const joined = await warren([...args, "--data", folder.file("a")], { WARREN_JOIN_CODE: code });
		expect([joined.code, joined.stderr]).toEqual([0, expect.stringContaining("has joined")]);
		const again = await warren([...args, "--data", folder.file("b")], { WARREN_JOIN_CODE: code });
		expectTold(again, /was used, or is over ten minutes old/, /new code/);
		const twice = await warren([...args, "--data", folder.file("a")], { WARREN_JOIN_CODE: code });
		expectTold(twice, /belongs to a warren already/, /--data DIR/);
	});

	it("with a code whose ten minutes are over", async () => {
		await using first = await startNode({ command: ["up"], env: alone });
		const { code } = JSON.parse((await warren(["invite", "--json", "--data", first.data])).stdout) as { code: string };
		const tables = new DatabaseSync(`${first.data}/hub.db`, { timeout: 10_000 });
		expect(tables.prepare("UPDATE accounts_machine_invites SET expires_at = ?").run(Date.now() - 1).changes).toBe(1);
		tables.close();
		expectTold(await join(first.origin, code), /good for ten minutes, and ended/, /new code/);
	});

	it("onto a full disk, which leaves the code good for the next try", async (context) => {
		using folder = tempFolder("full");
		const mount = onDiskOf("40k", folder.path);
		context.skip(!canMount(mount), "a disk of its own needs root and unshare");
		await using first = await startNode({ command: ["up"], env: alone });
		const { code } = JSON.parse((await warren(["invite", "--json", "--data", first.data])).stdout) as { code: string };
		const args = ["join", first.origin, "--no-start", "--name", "attic"];
		const env = { WARREN_JOIN_CODE: code };
		expectTold(
			await warren([...args, "--data", folder.file("data")], env, mount),
			/disk|full|cannot be written/i,
			/[Ff]ree disk space/,
		);
		using elsewhere = tempFolder("roomy");
		expect(await warren([...args, "--data", elsewhere.path], env)).toMatchObject({ code: 0 });
	});

	it("at an older machine, which takes nobody in, and at one that is no Warren", async () => {
		for (const [status, type, body] of [
			[404, "application/json", '{"error":"not_found","message":"There is nothing here."}'],
			[200, "text/html", "<h1>It works</h1>"],
		] as const) {
			const { authority } = await Authority.create("Theirs", [], systemClock, systemRandom);
			const leaf = await authority.issue({ name: "atlas", hosts: ["127.0.0.1"] });
			const server = createServer({ cert: leaf.cert + authority.certPem, key: leaf.key }, (_request, response) => {
				response.writeHead(status, { "content-type": type });
				response.end(body);
			});
			await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
			const { port } = server.address() as AddressInfo;
			const code = formatJoinCode({ secret: newSecret(systemRandom), fingerprint: joinFingerprint(authority.certPem) });
			expectTold(await join(`https://127.0.0.1:${port}`, code), new RegExp(`127\\.0\\.0\\.1:${port}`), /warren up/);
			server.closeAllConnections();
			server.close();
		}
	});

	it("at a machine of another warren", async () => {
		await using other = await startNode({ command: ["up"], env: alone });
		expectTold(await join(other.origin), /is not of the warren that this code is for/, /warren invite/);
	});

	it("without a network", async (context) => {
		const can = spawnSync("unshare", ["-n", "true"]).status === 0;
		context.skip(!can, "a process without a network needs root and unshare");
		const result = await warren(["join", "https://10.1.2.3:5151", "--no-start"], { WARREN_JOIN_CODE: someCode }, [
			"unshare",
			"-n",
		]);
		expectTold(result, /10\.1\.2\.3:5151 .*no network that leads there/, /this machine's network/);
	});
});

describe("starting", () => {
	const local = ["--host", "127.0.0.1", "--port", "0"];

	it.each([
		["a port that is none", ["--port", "99999"], /port: .*65535.*99999/, /--help/],
		[
			"an address of another machine",
			["--host", "192.0.2.1", "--port", "0"],
			/192\.0\.2\.1 is no address of this machine/,
			/--host/,
		],
		[
			"certificate files that are not there",
			[...local, "--tls-cert", "/none.pem", "--tls-key", "/none.pem"],
			/\/none\.pem/,
			/PEM/,
		],
		["half a pair of certificate files", [...local, "--tls-cert", "/none.pem"], /--tls-key/, /both files/],
		["a data folder below a file", [...local, "--data", "/dev/null/x"], /\/dev\/null\/x cannot be used/, /--data DIR/],
		[
			"a data folder where the system allows none",
			[...local, "--data", "/proc/warren"],
			/\/proc\/warren cannot be used/,
			/--data DIR/,
		],
	])("with %s", async (_title, args, happened, fix) => {
		expectTold(await warren(["up", ...args]), happened, fix);
	});

	it("with a broken certificate", async () => {
		using folder = tempFolder("pem");
		writeFileSync(folder.file("bad.pem"), "garbage");
		const files = ["--tls-cert", folder.file("bad.pem"), "--tls-key", folder.file("bad.pem")];
		expectTold(await warren(["up", ...local, ...files]), /bad\.pem cannot be used/, /PEM, the leaf first/);
	});

	it.for(["32k", "600k"])("on a disk of %s that is full", async (size, context) => {
		using folder = tempFolder("full");
		const mount = onDiskOf(size, folder.path);
		context.skip(!canMount(mount), "a disk of its own needs root and unshare");
		const result = await warren(["up", ...local, "--data", folder.file("data")], {}, mount);
		expectTold(result, /disk|full|cannot be written/i, /[Ff]ree disk space|free disk space/);
	});

	it("on a port that another program has", async () => {
		const taken = createHttpServer();
		await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
		const port = String((taken.address() as AddressInfo).port);
		using folder = tempFolder("taken");
		const result = await warren(["up", "--host", "127.0.0.1", "--port", port, "--data", folder.path]);
		expectTold(result, new RegExp(`${port}.*(taken|in use)`), /--port/);
		taken.close();
	});

	it.for([
		[
			"in another user's data folder",
			["--port", "0"],
			/(may not be used|cannot be written|cannot be used)/,
			/permissions/,
		],
	] as const)("as a user who may not: %s", async ([_title, args, happened, fix], context) => {
		using folder = tempFolder("theirs");
		const nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
		const can = spawnSync(nobody[0] as string, [...nobody.slice(1), process.execPath, main, "--version"]).status === 0;
		context.skip(!can, "another user needs root, setpriv, and a checkout that everybody may read");
		const result = await warren(["up", "--host", "127.0.0.1", "--data", folder.path, ...args], {}, nobody);
		expectTold(result, happened, fix);
	});
});

describe("a node that runs", () => {
	it("marks a peer that is older, and says of an address without one what listens there", async () => {
		await using node = await startNode();
		await using older = await hostilePeer((_request, response) => response.end('{"app":"warren","version":"0.0.9"}'), {
			identifies: false,
		});
		const data = ["--data", node.data];
		const added = await warren(["peers", "add", "127.0.0.1", String(older.port), "--name", "attic", ...data]);
		expect(added.stdout).toMatch(/up\s+attic .*0\.0\.9 \(older\)/);
		const port = await freePort();
		const none = await warren(["peers", "add", "127.0.0.1", String(port), "--name", "cellar", ...data]);
		expect(none.stdout).toMatch(new RegExp(`down\\s+cellar .*Nothing listens on port ${port}`));
		const exposed = await warren(["expose", "web", "3000", ...data]);
		expectTold(exposed, /No backbone runs on this machine/, /warren up/);
	});
});
