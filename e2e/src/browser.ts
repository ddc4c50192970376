import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "@warren/testkit";
import { type Browser, chromium } from "playwright-core";

const executablePath = process.env["WARREN_CHROMIUM"] ?? "/usr/bin/chromium";

/** Why no browser test can run here, or null. */
export function browserMissing(): string | null {
	if (!existsSync(executablePath)) return `no browser at ${executablePath}: install chromium`;
	return spawnSync("certutil", ["-H"], { stdio: "ignore" }).error === undefined
		? null
		: "no certutil: install libnss3-tools";
}

export interface LaunchOptions {
	/** PEM of the authorities that this browser trusts beside the system's. */
	readonly ca?: string;
	readonly args?: readonly string[];
	/** What it is run through, for one on another network: `["ip", "netns", "exec", NAME]`. */
	readonly through?: readonly string[];
}

/**
 * A real browser whose user has installed the warren's CA, as a person does: no certificate error is ever ignored. Its
 * HOME is gone at dispose.
 */
export async function launchBrowser({
	ca,
	args = [],
	through = [],
}: LaunchOptions = {}): Promise<Browser & AsyncDisposable> {
	const home = tempFolder("browser");
	try {
		if (ca !== undefined) trust(home.path, ca);
		const browser = await chromium.launch({
			executablePath: through.length === 0 ? executablePath : wrapper(home.path, through),
			args: [...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), "--disable-gpu", ...args],
			env: {
				PATH: process.env["PATH"] ?? "",
				HOME: home.path,
				XDG_CONFIG_HOME: join(home.path, ".config"),
				LANG: "C.UTF-8",
			},
		});
		browser.once("disconnected", () => home[Symbol.dispose]());
		return Object.assign(browser, { [Symbol.asyncDispose]: () => browser.close() });
	} catch (failure) {
		home[Symbol.dispose]();
		throw failure;
	}
}

/** @returns a program that is the browser, over there. */
function wrapper(folder: string, through: readonly string[]): string {
	const file = join(folder, "chromium");
	const words = [...through, executablePath].map((word) => `'${word}'`);
	writeFileSync(file, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`, { mode: 0o755 });
	return file;
}

/** Chromium has read its user's database from both places over the years. */
function trust(home: string, ca: string): void {
	const authorities = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
	for (const folder of [join(home, ".pki/nssdb"), join(home, ".local/share/pki/nssdb")]) {
		mkdirSync(folder, { recursive: true });
		certutil("-N", "-d", `sql:${folder}`, "--empty-password");
		for (const [at, authority] of authorities.entries()) {
			const file = join(home, `ca-${at}.crt`);
			writeFileSync(file, `${authority}\n`);
			certutil("-A", "-d", `sql:${folder}`, "-t", "C,,", "-n", `warren-${at}`, "-i", file);
		}
	}
}

function certutil(...args: string[]): void {
	const done = spawnSync("certutil", args, { encoding: "utf8" });
	if (done.status !== 0) throw new Error(`certutil ${args[0]}: ${done.stderr}`);
}
