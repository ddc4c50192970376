import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "@warren/testkit";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "../browser.ts";
import { checkoutMissing, strangersCheckout } from "../checkout.ts";
import { eventually, fillSignUp, newContext, newPage, owner, sizes, violationsOf } from "../ui-pages.ts";
import { HomeLan } from "./home-lan.ts";
import type { Machine } from "./machines.ts";

/**
 * What somebody does who has never heard of it: a fresh clone, `npm start`, the printed link, a second machine, the phone,
 * a terminal of the second machine on the phone. Nothing is chosen: default ports, the host's own name, the root's overlay.
 */
const missing =
	HomeLan.missing() ??
	browserMissing() ??
	checkoutMissing() ??
	["tmux", "unshare"]
		.map((tool) => (spawnSync(tool, ["-V"]).error === undefined ? null : `${tool} is not installed`))
		.find((each) => each !== null) ??
	null;
const builds = 300_000;

/** A command at a machine's console. */
interface Console {
	readonly home: string;
	/** What it printed so far. */
	text(): string;
	/** Waits for it to print that. @throws Error with all that it printed when it ends before. */
	printed(what: RegExp): Promise<RegExpExecArray>;
}

let stack: AsyncDisposableStack;
let checkout: string;
let lan: HomeLan;
let desk: Browser;
const faults: string[] = [];

beforeAll(() => {
	stack = new AsyncDisposableStack();
	if (missing !== null) return;
	lan = stack.use(new HomeLan());
	checkout = stack.use(strangersCheckout()).path;
}, builds);
afterAll(() => stack.disposeAsync());

/** Types a line at a machine's console, in the checkout, as the root of a machine that has this name. */
function atConsole(machine: Machine, name: string, line: string, env: Readonly<Record<string, string>> = {}): Console {
	const folder = stack.use(tempFolder(name));
	const home = folder.path;
	for (const each of ["tmux", "run"]) mkdirSync(join(home, each), { mode: 0o700 });
	const words = [...machine.through, "unshare", "--uts", "sh", "-c", `hostname ${name} && exec ${line}`];
	const child = spawn(words[0] as string, words.slice(1), {
		cwd: checkout,
		stdio: ["ignore", "pipe", "pipe"],
		detached: true,
		env: {
			PATH: `${join(checkout, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`,
			HOME: home,
			LANG: "C.UTF-8",
			SHELL: "/bin/sh",
			TMUX_TMPDIR: join(home, "tmux"),
			XDG_RUNTIME_DIR: join(home, "run"),
			...env,
		},
	});
	stack.defer(() => ended(child, home));
	let text = "";
	for (const stream of [child.stdout, child.stderr])
		stream.setEncoding("utf8").on("data", (chunk: string) => {
			text += chunk;
			child.emit("printed");
		});
	return {
		home,
		text: () => text,
		async printed(what) {
			for (;;) {
				const found = what.exec(text);
				if (found !== null) return found;
				if (child.exitCode !== null) throw new Error(`${line} ended with ${child.exitCode}:\n${text}`);
				await Promise.race([once(child, "printed"), once(child, "exit")]);
			}
		},
	};
}

/** Ctrl-C, and the terminals that would outlive it. */
async function ended(child: ChildProcess, home: string): Promise<void> {
	if (child.exitCode === null && child.signalCode === null) {
		const gone = once(child, "exit");
		process.kill(-(child.pid as number), "SIGINT");
		await gone;
	}
	spawnSync("tmux", ["-S", join(dataOf(home), "tmux.sock"), "kill-server"]);
}

const dataOf = (home: string) => join(home, ".local/state/warren");

const copyable = async (page: Page, label: string) =>
	(await page.getByRole("button", { name: `Copy ${label}:` }).getAttribute("aria-label"))?.slice(
		`Copy ${label}: `.length,
	) ?? "";

it("from clone to a phone that types at a second machine", { timeout: builds }, async (test) => {
	test.skip(missing !== null, missing ?? "");
	const [atlas, burrow, phone] = ["atlas", "burrow", "phone"].map((name) => lan.device(name)) as [
		Machine,
		Machine,
		Machine,
	];

	// The first machine: one command, and what it prints.
	const first = atConsole(atlas, "atlas", "npm start");
	const [, link = ""] = await first.printed(/Open this link once[^]*?(https:\S+#setup=\S+)\s/);
	const [, lanUrl = ""] = /On a phone\s+(\S+)/.exec(first.text()) ?? [];
	const [, printed = ""] = /CA SHA-256\s+(\S+)/.exec(first.text()) ?? [];
	expect(lanUrl).toBe(`https://${atlas.host}:5151`);
	expect(existsSync(join(checkout, "apps/web/dist/index.html")), "built by npm start").toBe(true);
	expect(existsSync(join(checkout, "apps/warren/dist/.built-from")), "bundled by npm start").toBe(true);

	// A browser breaks off whatever it asks for while an interface comes up: people do not look within a second.
	const joined = join(dataOf(first.home), "overlay/status.json");
	const hasOverlay = existsSync("/dev/net/tun");
	await expect.poll(() => existsSync(joined), { ...eventually, message: "the overlay is up" }).toBe(hasOverlay);

	// At its own desk: the link, a user and a PIN, an account, the wizard's steps.
	const ca = readFileSync(join(dataOf(first.home), "ca/ca.crt"), "utf8");
	const names = [`--host-resolver-rules=MAP ${new URL(link).hostname} ${atlas.host}`];
	desk = stack.use(await launchBrowser({ ca, args: names, through: atlas.through }));
	const page = await newPage(await newContext(desk as never, sizes["desktop"]), faults);
	await page.goto(link);
	await page.getByRole("heading", { name: "Make this machine yours" }).waitFor();
	await page.getByRole("textbox", { name: "User" }).fill(owner.user);
	await page.getByRole("textbox", { name: "PIN", exact: true }).fill(owner.pin);
	await page.getByRole("textbox", { name: "PIN once more" }).fill(owner.pin);
	await page.getByRole("button", { name: "Set up and sign in" }).click();
	await page.getByRole("heading", { name: "Make your account" }).waitFor();
	await fillSignUp(page, owner);
	await page.getByRole("heading", { name: "What is this machine called?" }).waitFor();
	expect(await page.getByRole("textbox", { name: "Name" }).inputValue()).toBe("atlas");
	await page.getByRole("button", { name: "Use this name" }).click();

	// The phone comes to trust it: a warning once, the fingerprint that the console printed, the certificate.
	await page.getByRole("heading", { name: "Bring your phone" }).waitFor();
	const trust = (await copyable(page, "address")).replace(new URL(link).origin, lanUrl);
	const { fingerprint, pem } = await certificateOnPhone(phone, trust);
	expect(fingerprint).toBe(printed);
	expect(new X509Certificate(pem).fingerprint256.toLowerCase()).toBe(printed);
	await page.getByRole("button", { name: "Next" }).click();

	// The second machine: the line that the wizard shows, at its console. It is there while one watches.
	await page.getByText("Waiting for the machine").waitFor();
	await page.getByText("Warren is not installed there").click();
	const shown = await copyable(page, "set-up command");
	const [, code = "", joins = ""] = /^WARREN_JOIN_CODE=(\S+) (npm start -- join \S+)$/.exec(shown) ?? [];
	expect(joins).toContain("npm start -- join https://");
	const second = atConsole(burrow, "burrow", joins.replace(new URL(link).origin, lanUrl), { WARREN_JOIN_CODE: code });
	await page.getByText("burrow has joined").waitFor();
	await second.printed(/Warren is up on burrow/);
	await page.getByRole("button", { name: "Open a terminal" }).and(page.locator(":enabled")).waitFor();
	await page.getByRole("button", { name: "Next" }).click();
	await page.getByRole("button", { name: "Open a terminal" }).click();
	await page.getByRole("heading", { name: /^New session/ }).waitFor();
	await page.getByRole("button", { name: "Close" }).click();

	// The phone is paired by the code on the screen.
	await page.keyboard.press("Control+k");
	await page.getByRole("combobox", { name: "Go to" }).fill("pair");
	await page.getByRole("option", { name: /^Pair a phone/ }).waitFor();
	await page.keyboard.press("Enter");
	await page.getByRole("dialog").getByRole("img", { name: "QR code that pairs a device" }).waitFor();
	const pairing = (await copyable(page, "pairing link")).replace(new URL(link).origin, lanUrl);
	const pocket = stack.use(await launchBrowser({ ca: pem, through: phone.through }));
	const mobile = await newPage(await newContext(pocket, sizes["phone"]), faults);
	await mobile.goto(pairing);
	await mobile.getByRole("textbox", { name: "Name of this device" }).fill("Ada's phone");
	await mobile.getByRole("button", { name: "Pair", exact: true }).tap();
	await page.getByText("“Ada's phone” wants to sign in").waitFor();
	await page.getByRole("button", { name: "Let it in" }).click();
	await mobile.getByText("No session runs on atlas").waitFor();

	// On it: the second machine, a terminal, a line, its answer.
	await mobile.getByRole("link", { name: "Machines" }).tap();
	await mobile.getByRole("heading", { name: "Machines" }).waitFor();
	await mobile.getByRole("link", { name: "burrow", exact: true }).first().tap();
	// Once on each machine, by the account of whoever had it join: no PIN.
	await mobile.getByRole("button", { name: `Sign in as ${owner.name}` }).tap();
	await mobile.getByText("No session runs on burrow").waitFor();
	await mobile.getByRole("button", { name: "New session" }).first().tap();
	await mobile.getByRole("textbox", { name: "Name" }).fill("far");
	await mobile.getByRole("button", { name: "Create" }).tap();
	await mobile.getByRole("heading", { name: "Terminal far" }).waitFor();
	await mobile.locator(".terminal-stage[data-phase=live] .xterm").waitFor();
	await mobile.getByPlaceholder("Type, then send").fill("echo $(hostname) says $((6*7))");
	await mobile.getByRole("button", { name: /^Send and press Enter|^Send$/ }).tap();
	await expect.poll(() => mobile.locator(".xterm-rows").innerText(), eventually).toContain("burrow says 42");

	for (const each of [first, second]) expect(each.text()).not.toMatch(/ (error|warn): /);
	for (const each of [page, mobile]) expect(await violationsOf(each)).toEqual([]);
	expect(faults).toEqual([]);
});

/** Past the browser's warning, once: the page that tells whom to trust, and what it hands out. */
async function certificateOnPhone(phone: Machine, url: string): Promise<{ fingerprint: string; pem: string }> {
	await using browser = await launchBrowser({ through: phone.through });
	const context = await browser.newContext({ ...sizes["phone"], ignoreHTTPSErrors: true });
	const page = await newPage(context, faults);
	await page.goto(url);
	await page.getByRole("heading", { name: "Trust this warren" }).waitFor();
	const fingerprint = await copyable(page, "fingerprint");
	const download = page.waitForEvent("download");
	await page.getByRole("link", { name: "Download the certificate" }).click();
	const file = readFileSync(await (await download).path());
	return { fingerprint, pem: new X509Certificate(file).toString() };
}
