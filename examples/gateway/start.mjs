// npm start: set-up where it is missing, then `warren gateway`. PORT and arguments after `--` go to it.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { bundleProgram, install, pinnedEnvironment, pinnedNode, root } from "../../scripts/setup.mjs";

install();
bundleProgram();
const child = spawn(pinnedNode(), [join(root, "apps/warren/src/main.js"), "gateway", ...process.argv.slice(2)], {
	stdio: "inherit",
	env: pinnedEnvironment(),
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 0)));
