import { useQueryClient } from "@tanstack/react-query";
import type { MachineId } from "../../api/machine.ts";
import type { Pane, Window } from "../../api/types.ts";
import { api, useWindows } from "../../api/warren.tsx";
import { toastError } from "../../ui/toast.tsx";
import { t } from "../text/terminal.ts";

export interface Tmux {
	readonly windows: Window[] | undefined;
	/** The one in sight. */
	readonly window: Window | undefined;
	select(window: Window): void;
	create(): void;
	split(direction: "right" | "down"): void;
	zoom(): void;
	nextPane(): void;
	killPane(): Promise<void>;
	killWindow(): Promise<void>;
}

/** The session's windows and panes, and the commands on them that a page may give. */
export function useTmux(machine: MachineId, session: string): Tmux {
	const client = useQueryClient();
	const windows = useWindows(machine, session).data;
	const window = windows?.find((each) => each.active);
	const pane = window?.panes.find((each) => each.active);
	const base = `/api/sessions/${encodeURIComponent(session)}`;

	async function act(method: "POST" | "DELETE", path: string, body?: unknown): Promise<void> {
		await api.request(machine, `${base}${path}`, { method, ...(body === undefined ? {} : { body }) });
		await client.invalidateQueries({ queryKey: [machine, "windows", session] });
	}
	const tell = (promise: Promise<void>, what: string) => void promise.catch((failure) => toastError(what, failure));
	const windowPath = (of: Window) => `/windows/${encodeURIComponent(of.id.replace(/^@/, ""))}`;
	const panePath = (of: Pane) => `/panes/${encodeURIComponent(of.id.replace(/^%/, ""))}`;

	return {
		windows,
		window,
		select(target) {
			client.setQueryData<Window[]>([machine, "windows", session], (all) =>
				all?.map((each) => ({ ...each, active: each.id === target.id })),
			);
			tell(act("POST", `${windowPath(target)}/select`, {}), target.name);
		},
		create: () => tell(act("POST", "/windows", {}), t.newWindow),
		split(direction) {
			if (window) tell(act("POST", `${windowPath(window)}/split`, { direction }), t.splitRight);
		},
		zoom() {
			if (window) tell(act("POST", `${windowPath(window)}/zoom`, {}), t.zoom);
		},
		nextPane() {
			const panes = window?.panes ?? [];
			const next = panes[(panes.findIndex((each) => each.active) + 1) % panes.length];
			if (next) tell(act("POST", `${panePath(next)}/select`, {}), t.nextPane);
		},
		killPane: async () => pane && act("DELETE", panePath(pane)),
		killWindow: async () => window && act("DELETE", windowPath(window)),
	};
}
