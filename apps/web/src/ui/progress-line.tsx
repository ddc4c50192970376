import { useSyncExternalStore } from "react";
import { pendingChanges } from "../api/pending-changes.ts";
import { t } from "./text.ts";

/** At the top of every page, while something that was asked for takes its time. */
export function ProgressLine() {
	const isLate = useSyncExternalStore(pendingChanges.watch, pendingChanges.isLate);
	return isLate ? <div className="progress-line" role="progressbar" aria-label={t.working} /> : null;
}
