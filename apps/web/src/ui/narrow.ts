import { useSyncExternalStore } from "react";

/** Where the app is one column with tabs below: as in every style sheet's `max-width: 719px`. */
const narrow = matchMedia("(max-width: 719px)");

export function useNarrow(): boolean {
	return useSyncExternalStore(
		(watcher) => {
			narrow.addEventListener("change", watcher);
			return () => narrow.removeEventListener("change", watcher);
		},
		() => narrow.matches,
	);
}
