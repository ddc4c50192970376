import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const buildMs = 280_000;
/** Kept between runs; removing it builds anew. */
const folder = join(tmpdir(), "warren-test-programs");

/** A program of the Go world that tests ask for a verdict; or why it is not here. */
export type GoProgram =
	| { readonly file: string; readonly missing: null }
	| { readonly file: null; readonly missing: string };

/** Builds it once with the machine's own Go. @param pack its main package. @param version exact. */
export async function goProgram(pack: string, version: string): Promise<GoProgram> {
	const name = basename(pack);
	const file = join(folder, `${name}-${version}`);
	if (existsSync(file)) return { file, missing: null };
	mkdirSync(folder, { recursive: true });
	const draft = mkdtempSync(join(folder, `${name}-`));
	try {
		const fault = await install(`${pack}@${version}`, draft);
		if (fault !== null) return { file: null, missing: `${name} ${version} cannot be built: ${fault}` };
		renameSync(join(draft, name), file);
		return { file, missing: null };
	} finally {
		rmSync(draft, { recursive: true, force: true });
	}
}

function install(what: string, into: string): Promise<string | null> {
	return new Promise((resolve) => {
		const child = spawn("go", ["install", what], {
			stdio: ["ignore", "ignore", "pipe"],
			env: { ...process.env, GOBIN: into, GOTOOLCHAIN: "local" },
			timeout: buildMs,
		});
		let said = "";
		child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-2000)));
		child.on("error", (fault) => resolve(`Go is not installed (${fault.message})`));
		child.on("exit", (code) => resolve(code === 0 ? null : said.trim().slice(-300) || `go ended with ${code}`));
	});
}
