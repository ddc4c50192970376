/** A machine's state as a shape and a word: a filled disc, a crossed ring, a half disc, a dashed ring. */
export type MachineState = "up" | "down" | "warn" | "unknown";

export function StatusDot({ state, children }: { state: MachineState; children: string }) {
	return (
		<span className="status" data-state={state}>
			<svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
				{state === "up" && <circle cx="5" cy="5" r="4.5" fill="currentColor" />}
				{state === "down" && (
					<path d="M1.5 1.5l7 7m0-7l-7 7" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
				)}
				{state === "warn" && <path d="M5 .8 9.6 9.2H.4z" fill="currentColor" />}
				{state === "unknown" && (
					<circle cx="5" cy="5" r="3.8" fill="none" stroke="currentColor" strokeWidth="1.4" strokeDasharray="2 1.6" />
				)}
			</svg>
			{children}
		</span>
	);
}
