import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { closeCodes } from "@warren/kernel";
import { run } from "@warren/net";
import { commandEnvironment, startNode, tempFolder } from "@warren/testkit";
import type { Command, Option } from "commander";
import { beforeAll, describe, expect, it } from "vitest";
import { allCommands } from "./command-line.ts";

/** The documentation against the program: every command in it exists, everything that exists is in it. */
const root = fileURLToPath(new URL("../../../../", import.meta.url));
const main = fileURLToPath(new URL("../main.js", import.meta.url));
let program: Command;
beforeAll(async () => {
	program = await allCommands();
});

function files(folder: string, ending: string): string[] {
	return readdirSync(folder, { recursive: true, encoding: "utf8" })
		.filter((name) => name.endsWith(ending) && !name.includes("node_modules"))
		.map((name) => join(folder, name));
}
const pages = [join(root, "README.md"), ...files(join(root, "docs"), ".md")];
const text = (page: string) => readFileSync(page, "utf8");

interface Shown {
	readonly page: string;
	readonly words: readonly string[];
}

/** Lines of code blocks and of inline code that call `warren`, each as its words; what follows a pipe or a comment is not ours. */
function shown(): Shown[] {
	return pages.flatMap((page) => {
		const blocks = [...text(page).matchAll(/^```[a-z]*\n([\s\S]*?)^```/gm)].flatMap(([, body = ""]) =>
			body.split("\n"),
		);
		const inline = [
			...text(page)
				.replace(/^```[\s\S]*?^```/gm, "")
				.matchAll(/`([^`\n]+)`/g),
		].map(([, code = ""]) => code);
		return [...blocks, ...inline].flatMap((line) => {
			const command = /^(?:[A-Z_]+=\S+ )*(?:sudo )?warren(?: (.*))?$/.exec(line.trim());
			if (command === null) return [];
			const own = (command[1] ?? "").split(/\s[#<|]|\s{2,}#| · /)[0] as string;
			return [{ page: relative(root, page), words: own.split(/\s+/).filter((word) => word !== "") }];
		});
	});
}

/** Every command with its own words: `peers add`. */
function commands(of: Command = program, path: readonly string[] = []): { path: string; command: Command }[] {
	return of.commands
		.filter((each) => !(each as unknown as { _hidden: boolean })._hidden)
		.flatMap((command) => {
			const own = [...path, command.name()];
			return [{ path: own.join(" "), command }, ...commands(command, own)];
		});
}

const flagOf = (option: Option) => option.long ?? option.short ?? "";

/** @returns what is wrong with it; null when the program takes it. */
function faultOf(words: readonly string[]): string | null {
	let command = program;
	let at = 0;
	for (; at < words.length; at++) {
		const next = command.commands.find((each) => each.name() === words[at]);
		if (next === undefined) break;
		command = next;
	}
	if (command === program) return words.length === 0 || words[0]?.startsWith("-") ? null : `there is no ${words[0]}`;
	const rest = words.slice(at);
	const dashes = rest.indexOf("--");
	for (const word of dashes === -1 ? rest : rest.slice(0, dashes)) {
		// In prose, a place for words of the reader's: [--flag VALUE], NAME…
		const flag = /^\[?(--[a-z0-9-]+)/.exec(word)?.[1];
		if (flag === undefined || flag === "--help") continue;
		if (!command.options.some((option) => flagOf(option) === flag)) return `${command.name()} has no ${flag}`;
	}
	return null;
}

describe("the documentation", () => {
	it("shows only commands and flags that exist", () => {
		const all = shown();
		expect(all.length).toBeGreaterThan(80);
		const faults = all.flatMap(({ page, words }) => {
			const fault = faultOf(words);
			return fault === null ? [] : [`${page}: warren ${words.join(" ")}: ${fault}`];
		});
		expect(faults).toEqual([]);
	});

	it("has a reference of every command, argument and flag", async () => {
		const lines = commands().map(({ path, command }) => {
			const usage = command.registeredArguments
				.map((each) => (each.required ? `<${each.name()}>` : `[${each.name()}]`))
				.join(" ");
			const rows = command.options.map((option) => `| \`${option.flags}\` | ${option.description} |`);
			const table = rows.length === 0 ? [] : ["", "| Flag | Meaning |", "|---|---|", ...rows];
			return [`## warren ${path}${usage === "" ? "" : ` ${usage}`}`, "", command.description(), ...table, ""].join(
				"\n",
			);
		});
		const lead =
			"# Reference\n\nEvery command with its flags, as `--help` prints them; a flag's environment variable stands in brackets. Written from the program: after a change, `npx vitest run apps/warren/src/cli/docs.test.ts -u` writes it anew. Variables without a flag, defaults and what each command prints: [commands.md](commands.md). Endpoints: [api.md](api.md) as OpenAPI; in words [api-node.md](api-node.md), [api-hub.md](api-hub.md), [api-sync.md](api-sync.md), [api-rooms.md](api-rooms.md), [api-ai.md](api-ai.md), [backbone.md](backbone.md), [overlay.md](overlay.md), [gateway.md](gateway.md). Close codes: [close-codes.md](close-codes.md).\n";
		expect(lines.length).toBeGreaterThan(30);
		await expect([lead, ...lines].join("\n")).toMatchFileSnapshot(join(root, "docs", "reference.md"));
	});

	it("names every environment variable that is read", () => {
		const sources = files(join(root, "apps", "warren", "src"), ".ts").filter((file) => !file.endsWith(".test.ts"));
		const names = new Set(
			sources.flatMap((file) =>
				[...text(file).matchAll(/["[](?:process\.env\[")?((?:WARREN|MESH|BACKBONE|TABBIFY)_[A-Z_]+)["\]]/g)].map(
					([, name]) => name as string,
				),
			),
		);
		expect(names.size).toBeGreaterThan(60);
		const documented = pages.map(text).join("\n");
		expect([...names].filter((name) => !documented.includes(name)).sort()).toEqual([]);
	});

	it("names every close code", () => {
		const page = text(join(root, "docs", "close-codes.md"));
		const codes = Object.values(closeCodes);
		expect(codes.length).toBeGreaterThan(5);
		expect(codes.filter((code) => !page.includes(`| ${code} |`))).toEqual([]);
	});

	it("leads only to pages that are there", () => {
		const links = pages.flatMap((page) =>
			[...text(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, to = ""]) => ({ page, to })),
		);
		expect(links.length).toBeGreaterThan(40);
		const broken = links.filter(({ page, to }) => !existsSync(join(page, "..", to)));
		expect(broken.map(({ page, to }) => `${relative(root, page)}: ${to}`)).toEqual([]);
	});

	it("shows commands that run: those that ask and change nothing, at a node of this test", async () => {
		// The others start servers, change the system, or need a second machine: their own tests run them.
		const harmless = /^(status|peers|doctor|logs|completion bash|whoami|overlay status)( --json)?$/;
		const asked = [...new Set(shown().map(({ words }) => words.join(" ")))].filter((each) => harmless.test(each));
		expect(asked.length).toBeGreaterThan(3);
		await using node = await startNode();
		using home = tempFolder("docs");
		for (const each of asked) {
			const words = each.split(" ");
			const data = words[0] === "completion" ? [] : ["--data", node.data];
			const result = await run(process.execPath, [main, ...words, ...data], {
				timeoutMs: 60_000,
				env: commandEnvironment(home.path),
			});
			if (result.outcome !== "exited") throw new Error(result.message);
			expect(result.stderr, each).not.toContain("unexpected failure");
			// A reason is as good as an answer: nobody has signed in here, and no joiner runs.
			expect(result.stdout + result.stderr, each).not.toBe("");
		}
	}, 240_000);
});
