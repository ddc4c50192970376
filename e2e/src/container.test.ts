import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { run } from "@warren/net";
import { tempFolder } from "@warren/testkit";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/**
 * The Dockerfile, line by line, without a registry or a daemon: its last stage is carried out in a Debian of its own
 * (debootstrap), and what it would start is started there as its user.
 */
const top = join(import.meta.dirname, "../..");
const missing = cannotRun();
const minutes = 60_000;
const owner = { WARREN_USER: "ada", WARREN_PIN: "lovelace-1815" };

interface Instruction {
	readonly word: string;
	readonly rest: string;
}

function cannotRun(): string | null {
	if (process.getuid?.() !== 0) return "a system of its own is made as root";
	if (spawnSync("debootstrap", ["--version"]).error !== undefined) return "no debootstrap: install debootstrap";
	if (mirror() === null) return "no Debian among this system's own package sources";
	return process.env["WARREN_LONG_TESTS"] === "1" ? null : "it installs a Debian: WARREN_LONG_TESTS=1 runs it";
}

/** Where this system's own packages come from. */
function mirror(): string | null {
	const said = spawnSync("apt-get", ["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"], {
		encoding: "utf8",
	});
	const line = said.stdout?.split("\n").find((each) => each.endsWith(" bookworm main"));
	return line?.split(" ")[0] ?? null;
}

/** Of the last stage. */
function instructions(): Instruction[] {
	const text = readFileSync(join(top, "Dockerfile"), "utf8").replace(/\\\n/g, " ");
	const all = [...text.matchAll(/^([A-Z]+) (.*)$/gm)].map(([, word = "", rest = ""]) => ({ word, rest }));
	return all.slice(all.findLastIndex(({ word }) => word === "FROM") + 1);
}

describe("the container", () => {
	let folder: ReturnType<typeof tempFolder>;
	let root: string;
	let user = "root";
	let environment: Record<string, string> = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
	let health: string[] = [];
	let entry: string[] = [];
	let command: string[] = [];
	const started: ChildProcess[] = [];

	/** Program and words of something inside; its mounts are its own, and go with it. */
	const inside = (words: readonly string[], env: Readonly<Record<string, string>> = {}) => {
		const settings = Object.entries({ ...environment, ...env }).map(([name, value]) => `${name}=${value}`);
		const mounts = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$@"';
		const chroot = [`--userspec=${user}`, root, "/usr/bin/env", "-i", ...settings, ...words];
		return ["unshare", ["--mount", "sh", "-c", mounts, root, ...chroot]] as const;
	};
	const finish = async (...words: readonly string[]) => {
		const [program, args] = inside(words);
		return await run(program, args, { timeoutMs: 5 * minutes });
	};

	beforeAll(async () => {
		if (missing !== null) return;
		folder = tempFolder("container");
		root = folder.file("root");
		const base = ["--variant=minbase", "bookworm", root, mirror() as string];
		const built = await Promise.all([
			run("debootstrap", base, { timeoutMs: 10 * minutes }),
			run(process.execPath, [join(top, "scripts/build-executable.mjs")], { timeoutMs: 10 * minutes }),
		]);
		for (const each of built) expect(each).toMatchObject({ outcome: "exited", code: 0 });
		// What a container's runtime and its base image bring.
		for (const own of ["etc/apt/apt.conf.d", "etc/hosts", "etc/resolv.conf"])
			cpSync(join("/", own), join(root, own), { recursive: true, force: true });
		for (const { word, rest } of instructions()) await carryOut(word, rest);
	}, 25 * minutes);
	afterAll(async () => {
		for (const child of started)
			if (child.exitCode === null && child.signalCode === null && child.kill("SIGTERM")) await once(child, "exit");
		folder?.[Symbol.dispose]();
	});

	async function carryOut(word: string, rest: string): Promise<void> {
		if (word === "RUN") {
			const words = rest.startsWith("[") ? (JSON.parse(rest) as string[]) : ["sh", "-c", rest];
			expect(await finish(...words), rest).toMatchObject({ outcome: "exited", code: 0 });
		} else if (word === "COPY") {
			const [from, to] = rest.split(" ").slice(-2) as [string, string];
			cpSync(join(top, from.replace("/src/", "")), join(root, to));
		} else if (word === "ENV") {
			environment = { ...environment, ...Object.fromEntries(rest.split(" ").map((each) => each.split("="))) };
		} else if (word === "USER") {
			user = `${rest}:${rest}`;
			environment = { ...environment, HOME: `/home/${rest}` };
		} else if (word === "HEALTHCHECK") health = JSON.parse(rest.slice(rest.indexOf("["))) as string[];
		else if (word === "ENTRYPOINT") entry = JSON.parse(rest) as string[];
		else if (word === "CMD") command = JSON.parse(rest) as string[];
		else expect(["WORKDIR", "VOLUME", "EXPOSE"]).toContain(word);
	}

	it.for(["up", "hub"])("starts %s as its user, tells its health, and ends in good order", async (role, context) => {
		context.skip(missing !== null, missing ?? "");
		expect(command).toEqual(["up"]);
		const [program, args] = inside([...entry, role], {
			...(role === "up" ? owner : {}),
			...{ WARREN_JSON: "1", WARREN_PORT: "0", WARREN_HOST: "127.0.0.1" },
			...{ WARREN_DATA: `/data/${role}`, WARREN_SIDECAR_PORT: "0", WARREN_EDGE: "0", WARREN_OVERLAY: "0" },
		});
		environment = { ...environment, WARREN_DATA: `/data/${role}` };
		expect(await finish(...health), "not yet").not.toMatchObject({ code: 0 });
		const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
		started.push(child);
		const exited = once(child, "exit");
		const [line] = await once(createInterface({ input: child.stdout }), "line");
		const { url } = JSON.parse(line as string) as { url: string };
		expect(readFileSync(`/proc/${child.pid}/status`, "utf8")).toMatch(/^Uid:\t1000\t1000/m);
		expect(statSync(join(root, "data", role)).uid).toBe(1000);
		expect(await finish(...health)).toMatchObject({ outcome: "exited", code: 0 });
		const agent = new Agent({ connect: { rejectUnauthorized: false } });
		const answer = await fetch(url, { dispatcher: agent, headers: { accept: "application/json" } });
		expect(await answer.json()).toMatchObject({ app: "warren", roles: expect.arrayContaining(["hub"]) });
		if (role === "up") {
			const authorization = `Basic ${Buffer.from(Object.values(owner).join(":")).toString("base64")}`;
			const made = await fetch(`${url}/api/sessions`, {
				method: "POST",
				dispatcher: agent,
				headers: { authorization, "content-type": "application/json" },
				body: '{"name":"inside"}',
			});
			expect(made.status, "tmux is there").toBe(201);
		}
		await agent.destroy();
		child.kill("SIGTERM");
		expect(await exited).toEqual([0, null]);
	});
});
