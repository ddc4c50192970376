import { setFlagsFromString } from "node:v8";

/** Of V8. */
export const bufferFlags = [
	// Buffers outside the heap count into the heap's own limit.
	"--external-memory-accounted-in-global-limit",
	// What is there may double until the next mark.
	"--external-memory-max-growing-factor=2",
	// A quiet moment does not take that room away again.
	"--no-scavenger-updates-allocation-limit",
] as const;
/**
 * So much more of buffers may come and go until the heap is marked. With twice as much a process held half as much again
 * where marking has to wait for a processor, and was no faster.
 */
const roomBytes = 64 * 1024 * 1024;
let room: ArrayBuffer | null = null;

/**
 * For a process that carries many bytes: each read of a socket is a buffer outside the heap, and by itself the runtime
 * marks the whole heap after each 64 MB of them, on every core: at 100 MB requests two fifths of the processor time, and
 * a pause for everybody else. From now on they count into the heap's own limit, and that is measured from a buffer which
 * nobody writes to, so that it is never in memory: the short collections that free them suffice. The runtime's figure of
 * external memory shows it.
 */
export function countBuffersAsHeap(): void {
	for (const flag of bufferFlags) setFlagsFromString(flag);
	room ??= new ArrayBuffer(roomBytes);
}
