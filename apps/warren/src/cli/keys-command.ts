import { join } from "node:path";
import { KeyFile, providerIds, providerOf, providers } from "@warren/ai";
import { defineErrors } from "@warren/kernel";
import type { Command } from "commander";
import { keyFileName } from "../config/ai-config.ts";
import { dataFolderOf } from "./data-folder-of.ts";
import { renderTable } from "./table.ts";

const keysError = defineErrors({ no_key: { status: 400 }, no_such_key: { status: 400 } });
const maxInputBytes = 8192;

interface Flags {
	readonly data?: string;
	readonly json?: boolean;
}

/** `warren keys`: the providers' keys of this machine's hub. A key is read from standard input, never from argv. */
export function addKeysCommand(program: Command): void {
	const keys = program.command("keys").description("Keys of AI providers, kept on the hub's machine");
	withFlags(
		keys.command("set <provider>").description(`Read a key from standard input: ${providerIds.join(", ")}`),
	).action(async (name: string, flags: Flags) => {
		const { keyVariable, name: title } = keyedProvider(name);
		const key = (await readInput()).trim();
		if (key === "")
			throw keysError("no_key", "Standard input held no key.", { fix: `Try: warren keys set ${name} < key.txt` });
		fileOf(flags).set(keyVariable, key);
		print(flags, { set: keyVariable }, `${title}'s key is set; it counts from the next request on.`);
	});
	withFlags(keys.command("remove <provider>").description("Forget a key that was set here")).action(
		(name: string, flags: Flags) => {
			const { keyVariable, name: title } = keyedProvider(name);
			fileOf(flags).set(keyVariable, null);
			print(flags, { removed: keyVariable }, `${title}'s key is forgotten here.`);
		},
	);
	withFlags(keys.command("list").description("Which keys are set here; never the keys")).action((flags: Flags) => {
		const set = new Set(fileOf(flags).names());
		const rows = providerIds
			.map((id) => providers[id])
			.filter((provider) => provider.keyVariable !== null)
			.map(({ id, keyVariable }) => ({
				provider: id,
				variable: keyVariable as string,
				set: set.has(keyVariable ?? ""),
			}));
		print(
			flags,
			rows,
			renderTable([
				["PROVIDER", "VARIABLE", "SET HERE"],
				...rows.map((row) => [row.provider, row.variable, row.set ? "yes" : "no"]),
			]),
		);
	});
}

function withFlags(command: Command): Command {
	return command.option("--data <dir>", "the hub's data folder [WARREN_DATA]").option("--json", "the result as JSON");
}

function print(flags: Flags, result: object, text: string): void {
	process.stdout.write(`${flags.json === true ? JSON.stringify(result) : text}\n`);
}

function fileOf(flags: Flags): KeyFile {
	return new KeyFile(join(dataFolderOf(flags), keyFileName));
}

/** @throws WarrenError `unknown_provider`, `no_such_key`. */
function keyedProvider(name: string): { readonly keyVariable: string; readonly name: string } {
	const provider = providerOf(name);
	if (provider.keyVariable === null)
		throw keysError("no_such_key", `${provider.name} takes no key.`, {
			fix: "Its address is OLLAMA_HOST, or PUT /api/settings/ollama-host.",
		});
	return { keyVariable: provider.keyVariable, name: provider.name };
}

/** To the end of input; at a terminal, to the end of the first line. */
async function readInput(): Promise<string> {
	if (process.stdin.isTTY) process.stderr.write("Paste the key, then Enter (it is shown as you type): ");
	let text = "";
	for await (const chunk of process.stdin) {
		text += String(chunk);
		if (text.length > maxInputBytes) throw keysError("no_key", "Standard input is too long to be a key.");
		if (process.stdin.isTTY && text.includes("\n")) break;
	}
	return text;
}
