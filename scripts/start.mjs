// npm start: set-up where it is missing, then `warren up`, or `npm start -- join URL`. Arguments after `--` go to it.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { buildWeb, bundleProgram, install, pinnedEnvironment, pinnedNode, root } from "./setup.mjs";

install();
buildWeb();
bundleProgram();
const asked = process.argv.slice(2);
const command = asked[0] === "join" ? asked : ["up", ...asked];
const child = spawn(pinnedNode(), [join(root, "apps/warren/src/main.js"), ...command], {
	stdio: "inherit",
	env: pinnedEnvironment(),
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 0)));
