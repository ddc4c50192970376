// JavaScript: with the cache in place, no process has to load what strips types from the rest.
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

// A folder of this user's own: code that others may write must never be run.
enableCompileCache(join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "warren", "code"));
const { runCommandLine } = await import("./cli/command-line.ts");
await runCommandLine(process.argv);
