import { readdirSync, readFileSync } from "node:fs";

/** Threads with which a kernel keeps its memory in order. One takes 30 ms of a core at once, and nobody preempts it. */
const keepers = /^(kdamond|kswapd|kcompactd|khugepaged|ksmd)/;

/** Milliseconds of a core that they have had since the system began; 0 where it has no /proc. */
export function housekeepingMs(): number {
	return threads.reduce((sum, pid) => sum + Number(file(`/proc/${pid}/schedstat`).split(" ")[0]) / 1e6, 0);
}

const threads = readdirSync("/").includes("proc")
	? readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && keepers.test(file(`/proc/${pid}/comm`)))
	: [];

/** One that has gone since it was listed, or that a system without such figures does not have, is empty. */
function file(path: string): string {
	try {
		return readFileSync(path, "utf8");
	} catch {
		return "";
	}
}
