import type { Command } from "commander";
import { backUp } from "../backup/backup.ts";
import { restore } from "../backup/restore.ts";
import { dataFolderOf } from "./data-folder-of.ts";

interface Flags {
	readonly data?: string;
	readonly force?: boolean;
	readonly json?: boolean;
}

/** `warren backup FILE` and `warren restore FILE`: this machine's data folder, whole. */
export function addBackupCommands(program: Command): void {
	withFlags(program.command("backup <file>"))
		.description("Write everything that this machine keeps into one file; it may run meanwhile")
		.option("--force", "replace the file")
		.action(async (file: string, flags: Flags) => {
			const { files } = await backUp(dataFolderOf(flags), file, { replace: flags.force === true });
			const bytes = files.reduce((sum, each) => sum + each.bytes, 0);
			process.stdout.write(
				flags.json === true
					? `${JSON.stringify({ file, files: files.length, bytes })}\n`
					: `Wrote ${file}: ${files.length} files, ${(bytes / 1e6).toFixed(1)} MB before compression.\nIt holds every secret of this machine: keep it where only you can read it.\n`,
			);
		});
	withFlags(program.command("restore <file>"))
		.description("Make a data folder of a backup; the machine must be stopped")
		.option("--force", "replace the folder; the former one is kept beside it")
		.action(async (file: string, flags: Flags) => {
			const data = dataFolderOf(flags);
			const { manifest, former } = await restore(file, data, { replace: flags.force === true, now: Date.now() });
			process.stdout.write(
				flags.json === true
					? `${JSON.stringify({ data, files: manifest.files.length, createdAt: manifest.createdAt, former })}\n`
					: `Restored ${data} as ${manifest.host} had it on ${new Date(manifest.createdAt).toISOString()}.\n${former === null ? "" : `What was there is in ${former}.\n`}Start it with: warren up\n`,
			);
		});
}

function withFlags(command: Command): Command {
	return command.option("--data <dir>", "the node's data folder [WARREN_DATA]").option("--json", "the result as JSON");
}
