import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { opencodeVersion } from "./opencode-binary.ts";

/** How the network is reached from this machine: plugins are fetched, and they and MCP servers call whom they like. */
const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];
const network = [...proxies, "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "npm_config_registry", "NPM_CONFIG_REGISTRY"];
const passedOn = ["PATH", "LANG", "LC_ALL", "TMPDIR", "TZ", "SHELL", "SystemRoot", "ComSpec", "PATHEXT", ...network];

/** The folders of one person's agent, all of them ours: nothing of the machine's own OpenCode is read or changed. */
export class OpencodeHome {
	readonly path: string;

	constructor(path: string) {
		this.path = path;
	}

	/** Makes them, with what OpenCode would else fetch at its first start. */
	prepare(): void {
		for (const each of ["config", "data", "cache", "state", "home"]) this.#folder(each);
		const plugin = this.#folder("config", "opencode", "node_modules", "@opencode-ai", "plugin");
		const wanted = { "@opencode-ai/plugin": opencodeVersion };
		write(
			join(plugin, "package.json"),
			json({ name: "@opencode-ai/plugin", version: opencodeVersion, type: "module" }),
		);
		const config = this.#folder("config", "opencode");
		write(join(config, "package.json"), json({ dependencies: wanted }));
		write(
			join(config, "package-lock.json"),
			json({
				name: "opencode",
				lockfileVersion: 3,
				requires: true,
				packages: { "": { dependencies: wanted }, "node_modules/@opencode-ai/plugin": { version: opencodeVersion } },
			}),
		);
	}

	/** @param files name → text; others that were there go. @returns whether anything changed. */
	writeTools(files: ReadonlyMap<string, string>): boolean {
		const folder = this.#folder("config", "opencode", "tools");
		let changed = false;
		for (const name of readdirSync(folder)) {
			if (files.has(name)) continue;
			rmSync(join(folder, name), { force: true });
			changed = true;
		}
		for (const [name, text] of files) changed = write(join(folder, name), text) || changed;
		return changed;
	}

	/** Its whole environment: nothing of ours is passed on but what a program needs to run. */
	environment(outer: Readonly<Record<string, string | undefined>>): Record<string, string> {
		const kept: Record<string, string> = {};
		for (const name of passedOn) if (outer[name] !== undefined) kept[name] = outer[name];
		// Its own relay and server are on loopback: never by a proxy.
		const direct = [outer["NO_PROXY"] ?? outer["no_proxy"] ?? "", "127.0.0.1", "localhost"].filter(
			(each) => each !== "",
		);
		if (proxies.some((name) => kept[name] !== undefined)) kept["NO_PROXY"] = direct.join(",");
		return {
			...kept,
			HOME: join(this.path, "home"),
			XDG_CONFIG_HOME: join(this.path, "config"),
			XDG_DATA_HOME: join(this.path, "data"),
			XDG_CACHE_HOME: join(this.path, "cache"),
			XDG_STATE_HOME: join(this.path, "state"),
			OPENCODE_DISABLE_MODELS_FETCH: "1",
			OPENCODE_DISABLE_AUTOUPDATE: "1",
			OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
			// A project's own configuration could send the secret elsewhere.
			OPENCODE_DISABLE_PROJECT_CONFIG: "1",
			npm_config_fetch_retries: "0",
		};
	}

	#folder(...parts: string[]): string {
		const path = join(this.path, ...parts);
		mkdirSync(path, { recursive: true, mode: 0o700 });
		return path;
	}
}

/** @returns whether it was another text before. */
function write(path: string, text: string): boolean {
	try {
		if (readFileSync(path, "utf8") === text) return false;
	} catch {
		// Not there yet.
	}
	writeFileSync(path, text, { mode: 0o600 });
	return true;
}

function json(value: unknown): string {
	return `${JSON.stringify(value, null, "\t")}\n`;
}
