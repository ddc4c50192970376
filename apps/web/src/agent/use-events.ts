import { useEffect, useRef } from "react";
import { self } from "../api/machine.ts";
import { api } from "../api/warren.tsx";
import { inFolder, sessionHeader } from "./agent-api.ts";

const againMs = 2_000;
/** Many events a second while it writes: one look at them is enough. */
const gatherMs = 120;

/** Calls `onEvent` soon after anything happened in a folder, for as long as the page is open. */
export function useEvents(folder: string, onEvent: () => void): void {
	const latest = useRef(onEvent);
	latest.current = onEvent;
	useEffect(() => {
		const leave = new AbortController();
		let timer: ReturnType<typeof setTimeout> | undefined;
		const happened = () => {
			timer ??= setTimeout(() => {
				timer = undefined;
				latest.current();
			}, gatherMs);
		};
		void (async () => {
			while (!leave.signal.aborted) {
				try {
					const answer = await fetch(`/api/agent${inFolder("event", folder)}`, {
						headers: { accept: "text/event-stream", ...api.headersFor(self), ...sessionHeader() },
						signal: leave.signal,
						credentials: "omit",
					});
					const reader = answer.body?.getReader();
					happened();
					while (answer.ok && reader !== undefined && !(await reader.read()).done) happened();
				} catch {
					// Left, or cut off: tried again below unless the page is gone.
				}
				await new Promise((resolve) => setTimeout(resolve, againMs));
			}
		})();
		return () => {
			leave.abort();
			clearTimeout(timer);
		};
	}, [folder]);
}
