import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { run } from "@warren/net";

/** One way from the client to the provider. */
export interface Gateway {
	readonly name: string;
	readonly origin: string;
	readonly path: string;
	readonly headers: Readonly<Record<string, string>>;
	/** Resident memory of its process, MiB; null where it has none. */
	memory(): number | null;
	close(): void;
}

const portkeyVersion = "1.15.2";
const litellmVersion = "1.106.2";
/** Installed once, in a folder that a later run finds again; removing it installs anew. */
const peersFolder = join(tmpdir(), "warren-bench-ai-peers");
const installMs = 10 * 60_000;
const readyMs = 60_000;

/** A child that prints one JSON line when it listens. */
export async function openChild(
	file: string,
	args: readonly string[] = [],
): Promise<{ child: ChildProcess; ready: any }> {
	const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
		stdio: ["ignore", "pipe", "inherit"],
	});
	const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
	const line = await new Promise<string>((resolve, reject) => {
		lines.once("line", resolve);
		child.once("exit", (code) => reject(new Error(`${file} ended with ${code}`)));
	});
	return { child, ready: JSON.parse(line) };
}

export function direct(origin: string): Gateway {
	return { name: "direct", origin, path: "/v1/chat/completions", headers: {}, memory: () => null, close() {} };
}

export async function ours(upstream: string, folder: string): Promise<Gateway> {
	const { child, ready } = await openChild("ours.ts", [upstream, folder]);
	return {
		name: "warren",
		origin: `http://127.0.0.1:${ready.port}`,
		path: "/proxy/openai/v1/chat/completions",
		headers: { authorization: `Bearer ${ready.token}` },
		memory: () => memoryOf(child),
		close: () => void child.kill(),
	};
}

/** @throws Error when it cannot be installed. */
export async function portkey(upstream: string): Promise<Gateway> {
	const kept = join(peersFolder, "portkey");
	const program = join(kept, "node_modules/@portkey-ai/gateway/build/start-server.js");
	if (!existsSync(program)) {
		mkdirSync(kept, { recursive: true });
		writeFileSync(join(kept, "package.json"), '{"private":true}');
		await install("npm", ["install", "-E", "--no-audit", "--no-fund", `@portkey-ai/gateway@${portkeyVersion}`], kept);
	}
	const port = await freePort();
	const child = spawn(process.execPath, [program, "--headless", `--port=${port}`], { stdio: "ignore" });
	const origin = `http://127.0.0.1:${port}`;
	await answering(origin, child);
	return {
		name: `portkey ${portkeyVersion}`,
		origin,
		path: "/v1/chat/completions",
		headers: { authorization: "Bearer sk", "x-portkey-provider": "openai", "x-portkey-custom-host": `${upstream}/v1` },
		memory: () => memoryOf(child),
		close: () => void child.kill(),
	};
}

/** In a virtual environment of the bench's own. @throws Error when it cannot be installed. */
export async function litellm(upstream: string, folder: string): Promise<Gateway> {
	const venv = join(peersFolder, "litellm");
	if (!existsSync(join(venv, "bin/litellm"))) {
		mkdirSync(peersFolder, { recursive: true });
		await install("python3", ["-m", "venv", venv], peersFolder);
		await install(join(venv, "bin/pip"), ["install", "-q", `litellm[proxy]==${litellmVersion}`], peersFolder);
	}
	const port = await freePort();
	const config = join(folder, "litellm.yaml");
	writeFileSync(
		config,
		`model_list:\n  - model_name: m\n    litellm_params: {model: openai/m, api_base: "${upstream}/v1", api_key: sk}\ngeneral_settings: {master_key: sk-bench}\n`,
	);
	const child = spawn(join(venv, "bin/litellm"), ["--config", config, "--host", "127.0.0.1", "--port", String(port)], {
		stdio: "ignore",
		env: { PATH: process.env["PATH"] ?? "", HOME: folder, LITELLM_LOCAL_MODEL_COST_MAP: "True" },
	});
	const origin = `http://127.0.0.1:${port}`;
	await answering(`${origin}/health/liveliness`, child);
	return {
		name: `litellm ${litellmVersion}`,
		origin,
		path: "/v1/chat/completions",
		headers: { authorization: "Bearer sk-bench" },
		memory: () => memoryOf(child),
		close: () => void child.kill(),
	};
}

/**
 * Where it is in PATH already: its npm package holds no program and fetches one from elsewhere when it starts, and its Go
 * module is not at the proxy. @throws Error when it is not.
 */
export async function bifrost(upstream: string, folder: string): Promise<Gateway> {
	if (spawnSync("bifrost-http", ["--help"]).error !== undefined) throw new Error("bifrost-http is not in PATH");
	const port = await freePort();
	writeFileSync(
		join(folder, "config.json"),
		JSON.stringify({
			providers: {
				openai: { keys: [{ value: "sk", models: ["m"], weight: 1 }], network_config: { base_url: upstream } },
			},
		}),
	);
	const child = spawn("bifrost-http", ["-app-dir", folder, "-host", "127.0.0.1", "-port", String(port)], {
		stdio: "ignore",
	});
	const origin = `http://127.0.0.1:${port}`;
	await answering(`${origin}/health`, child);
	return {
		name: "bifrost",
		origin,
		path: "/openai/v1/chat/completions",
		headers: {},
		memory: () => memoryOf(child),
		close: () => void child.kill(),
	};
}

async function install(program: string, args: readonly string[], cwd: string): Promise<void> {
	const result = await run(program, args, { timeoutMs: installMs, cwd, maxOutputBytes: 1024 * 1024 });
	if (result.outcome !== "exited") throw new Error(result.message);
	if (result.code !== 0) throw new Error(result.stderr.trim().slice(-300));
}

function memoryOf(child: ChildProcess): number | null {
	try {
		return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024;
	} catch {
		// Another system, or ended.
		return null;
	}
}

async function answering(url: string, child: ChildProcess): Promise<void> {
	const until = Date.now() + readyMs;
	while (Date.now() < until && child.exitCode === null) {
		const answered = await fetch(url).then(
			() => true,
			() => false,
		);
		if (answered) return;
		await new Promise((resolve) => setTimeout(resolve, 200));
	}
	child.kill();
	throw new Error(`${url} does not answer`);
}

function freePort(): Promise<number> {
	return new Promise((resolve) => {
		const server = createServer();
		server.listen(0, "127.0.0.1", () => {
			const { port } = server.address() as { port: number };
			server.close(() => resolve(port));
		});
	});
}
