import { useSyncExternalStore } from "react";
import { Backoff } from "../api/backoff.ts";
import { ApiError } from "../api/exchange.ts";
import type { MachineId } from "../api/machine.ts";
import { api, queryClient } from "../api/warren.tsx";

/** Something that was written while its machine could not be reached; kept in this browser until it is there. */
export interface Pending {
	readonly machine: MachineId;
	readonly room: string;
	/** Sent with it, so that a send that is tried again is one message. */
	readonly id: string;
	readonly content: string;
	readonly createdAt: number;
	/** Why the machine does not take it; such a one is not tried again by itself. */
	readonly refused?: string;
}

const storageKey = "warren.rooms.pending.v1";
const maxPending = 200;

let all: readonly Pending[] = load();
const watchers = new Set<() => void>();
const flushing = new Map<MachineId, Promise<void>>();
const waits = new Map<MachineId, { readonly backoff: Backoff; timer: ReturnType<typeof setTimeout> | undefined }>();
addEventListener("online", () => {
	for (const machine of new Set(all.map((each) => each.machine))) void flushPending(machine);
});

export function usePending(machine: MachineId, room: string): readonly Pending[] {
	const pending = useSyncExternalStore(watch, () => all);
	return pending.filter((each) => each.machine === machine && each.room === room);
}

/** Sends at once; what cannot be sent stays and follows later, in order. */
export function say(machine: MachineId, room: string, content: string): void {
	const id = crypto.randomUUID();
	set([...all, { machine, room, id, content, createdAt: Date.now() }].slice(-maxPending));
	void flushPending(machine);
}

export function discard(id: string): void {
	set(all.filter((each) => each.id !== id));
}

/** One at a time and in order; stops at the first that cannot reach its machine. */
export function flushPending(machine: MachineId): Promise<void> {
	const running = flushing.get(machine);
	if (running !== undefined) return running;
	const run = flush(machine).finally(() => {
		flushing.delete(machine);
		tryAgain(machine);
	});
	flushing.set(machine, run);
	return run;
}

/** The network may be back without anybody saying so. */
function tryAgain(machine: MachineId): void {
	const wait = waits.get(machine) ?? { backoff: new Backoff(1_000, 30_000), timer: undefined };
	clearTimeout(wait.timer);
	if (!all.some((each) => each.machine === machine && each.refused === undefined)) return void waits.delete(machine);
	wait.timer = setTimeout(() => void flushPending(machine), wait.backoff.nextMs());
	waits.set(machine, wait);
}

async function flush(machine: MachineId): Promise<void> {
	for (;;) {
		const next = all.find((each) => each.machine === machine && each.refused === undefined);
		if (next === undefined) return;
		try {
			await api.request(machine, `/api/rooms/${encodeURIComponent(next.room)}/messages`, {
				method: "POST",
				body: { id: next.id, content: next.content },
			});
			await queryClient.invalidateQueries({ queryKey: [machine, "room-messages", next.room] });
			discard(next.id);
		} catch (failure) {
			if (failure instanceof ApiError && !failure.retryable && failure.status !== 401) {
				const refused = failure.message;
				set(all.map((each) => (each.id === next.id ? { ...each, refused } : each)));
			} else return;
		}
	}
}

function set(next: readonly Pending[]): void {
	all = next;
	try {
		localStorage.setItem(storageKey, JSON.stringify(all));
	} catch (failure) {
		console.warn("warren: this browser does not keep what waits to be sent", failure);
	}
	for (const watcher of watchers) watcher();
}

function watch(watcher: () => void): () => void {
	watchers.add(watcher);
	return () => watchers.delete(watcher);
}

function load(): readonly Pending[] {
	try {
		const parsed: unknown = JSON.parse(localStorage.getItem(storageKey) ?? "[]");
		if (!Array.isArray(parsed)) return [];
		return parsed.filter((each): each is Pending => typeof each?.id === "string" && typeof each.content === "string");
	} catch {
		// Unreadable or refused: nothing waits.
		return [];
	}
}
