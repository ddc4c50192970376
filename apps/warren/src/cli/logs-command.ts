import { createReadStream, existsSync, statSync, watch } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { defineErrors } from "@warren/kernel";
import type { Command } from "commander";
import { logPath } from "../supervisor/log-file.ts";
import { dataFolderOf } from "./data-folder-of.ts";
import { stopped } from "./stopped.ts";

const logsError = defineErrors({ no_logs: { status: 404 }, bad_count: { status: 400 } });

interface Flags {
	readonly data?: string;
	readonly process?: string;
	readonly lines: string;
	readonly follow?: boolean;
	readonly json?: boolean;
}

/** A line of the log file: instant, process, what it wrote. */
const logLine = /^(\S+) (\S+) (.*)$/;

/** `warren logs`: what this machine's processes wrote. */
export function addLogsCommand(program: Command): void {
	program
		.command("logs")
		.description("What this machine's processes wrote")
		.option("--data <dir>", "the node's data folder [WARREN_DATA]")
		.option("--process <name>", "of this one alone: private, edge or joiner")
		.option("-n, --lines <count>", "the last so many", "100")
		.option("-f, --follow", "and go on")
		.option("--json", "a JSON object a line")
		.action(async (flags: Flags) => {
			const path = logPath(dataFolderOf(flags));
			if (!existsSync(path)) {
				throw logsError("no_logs", `There is no log at ${path}.`, {
					fix: "It is written by `warren up`; name its folder with --data DIR.",
				});
			}
			const count = Number(flags.lines);
			if (!Number.isInteger(count) || count < 0)
				throw logsError("bad_count", `--lines ${flags.lines} is no number of lines.`, { fix: "Give 0 or more." });
			const kept: string[] = [];
			for (const file of [`${path}.1`, path]) {
				await eachLine(file, 0, (line) => {
					if (rendered(line, flags) === null) return;
					kept.push(line);
					if (kept.length > count) kept.shift();
				});
			}
			for (const line of kept) process.stdout.write(`${rendered(line, flags)}\n`);
			if (flags.follow === true) await follow(path, flags);
		});
}

function rendered(line: string, flags: Flags): string | null {
	const match = logLine.exec(line);
	if (match === null) return null;
	const [, time, name, text] = match;
	if (flags.process !== undefined && flags.process !== name) return null;
	return flags.json === true ? JSON.stringify({ time, process: name, text }) : line;
}

/** @returns where it ended, bytes. */
async function eachLine(path: string, from: number, take: (line: string) => void): Promise<number> {
	if (!existsSync(path)) return 0;
	const input = createReadStream(path, { start: from, encoding: "utf8" });
	for await (const line of createInterface({ input })) take(line);
	return from + input.bytesRead;
}

/** Until Ctrl-C. A file that was rotated away is begun anew. */
async function follow(path: string, flags: Flags): Promise<void> {
	let at = statSync(path).size;
	let reading = Promise.resolve();
	const read = async () => {
		if (existsSync(path) && statSync(path).size < at) at = 0;
		at = await eachLine(path, at, (line) => {
			const text = rendered(line, flags);
			if (text !== null) process.stdout.write(`${text}\n`);
		});
	};
	const watcher = watch(dirname(path), () => {
		reading = reading.then(read);
	});
	await stopped();
	watcher.close();
	await reading;
}
