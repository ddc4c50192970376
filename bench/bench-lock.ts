import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const path = join(tmpdir(), "warren-bench.lock");

/** Two benches at a time measure each other: the second refuses to start. A smoke round measures nothing, and may. */
export function takeBenchLock(smoke: boolean): Disposable {
	if (smoke) return { [Symbol.dispose]: () => {} };
	const holder = holderOf();
	if (holder !== null) {
		console.error(`Another bench runs, as process ${holder}: wait for its end, or stop it.`);
		process.exit(1);
	}
	writeFileSync(path, String(process.pid));
	return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}

/** What a killed bench left behind holds nothing. */
function holderOf(): number | null {
	try {
		const pid = Number(readFileSync(path, "utf8"));
		process.kill(pid, 0);
		return pid;
	} catch {
		return null;
	}
}
