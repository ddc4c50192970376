import { Activity, type LucideIcon, MessagesSquare, Server, Settings, SquareTerminal } from "lucide-react";
import { activityPath, type MachineId, terminalsPath } from "../api/machine.ts";
import { roomsPath } from "../rooms/paths.ts";

/** The places of the app. A later role adds its own line here; nothing is listed before it works. */
export interface Place {
	readonly id: string;
	readonly label: string;
	readonly icon: LucideIcon;
	path(machine: MachineId): string;
	isAt(path: string): boolean;
}

export const places: readonly Place[] = [
	{
		id: "terminals",
		label: "Terminals",
		icon: SquareTerminal,
		path: terminalsPath,
		isAt: (path) => /^\/m\/[^/]+\/terminals/.test(path),
	},
	{
		id: "rooms",
		label: "Rooms",
		icon: MessagesSquare,
		path: roomsPath,
		isAt: (path) => /^\/m\/[^/]+\/rooms/.test(path),
	},
	{ id: "machines", label: "Machines", icon: Server, path: () => "/machines", isAt: (path) => path === "/machines" },
	{
		id: "activity",
		label: "Activity",
		icon: Activity,
		path: activityPath,
		isAt: (path) => /^\/m\/[^/]+\/activity/.test(path),
	},
	{ id: "settings", label: "Settings", icon: Settings, path: () => "/settings", isAt: (path) => path === "/settings" },
];
