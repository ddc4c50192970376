import { existsSync } from "node:fs";
import { join } from "node:path";

const program = join(import.meta.dirname, "../../node_modules", "opencode-linux-x64-baseline", "bin", "opencode");

/** Why the real coding agent cannot run here, or null. */
export function opencodeMissing(): string | null {
	return existsSync(program) ? null : "the coding agent's program is not installed for this platform";
}
