import {
	Activity,
	Bot,
	CircleUser,
	Ellipsis,
	FileText,
	Globe,
	type LucideIcon,
	MessageCircle,
	MessagesSquare,
	Route,
	Server,
	Settings,
	SquareTerminal,
	Waypoints,
} from "lucide-react";
import { activityPath, type MachineId, servicesPath, terminalsPath } from "../api/machine.ts";
import { useUnread } from "../rooms/api.ts";
import { roomsPath } from "../rooms/paths.ts";
import { t } from "./text.ts";

/** The places of the app. A later role adds its own line here; nothing is listed before it works. */
export interface Place {
	readonly id: string;
	readonly label: string;
	readonly icon: LucideIcon;
	/** Has a tab of its own on a phone; the others are under More. */
	readonly tab: boolean;
	/** A hook: what is new there, as a number on its link. */
	useNews?(machine: MachineId): number;
	path(machine: MachineId): string;
	isAt(path: string): boolean;
}

export const places: readonly Place[] = [
	{
		id: "terminals",
		label: t.places.terminals,
		icon: SquareTerminal,
		tab: true,
		path: terminalsPath,
		isAt: (path) => /^\/m\/[^/]+\/terminals/.test(path),
	},
	{
		id: "machines",
		label: t.places.machines,
		icon: Server,
		tab: true,
		path: () => "/machines",
		isAt: (path) => path === "/machines",
	},
	{
		id: "network",
		label: t.places.network,
		icon: Waypoints,
		tab: false,
		path: () => "/network",
		isAt: (path) => path === "/network",
	},
	{
		id: "access",
		label: t.places.access,
		icon: Route,
		tab: false,
		path: () => "/access",
		isAt: (path) => path === "/access",
	},
	{
		id: "services",
		label: t.places.services,
		icon: Globe,
		tab: false,
		path: servicesPath,
		isAt: (path) => /^(\/m\/[^/]+)?\/services(\/|$)/.test(path),
	},
	{
		id: "docs",
		label: t.places.docs,
		icon: FileText,
		tab: true,
		path: () => "/docs",
		isAt: (path) => /^\/docs(\/|$)/.test(path),
	},
	{
		id: "chat",
		label: t.places.chat,
		icon: MessageCircle,
		tab: true,
		path: () => "/chat",
		isAt: (path) => /^\/chat(\/|$)/.test(path),
	},
	{
		id: "rooms",
		label: t.places.rooms,
		icon: MessagesSquare,
		tab: false,
		useNews: useUnread,
		path: roomsPath,
		isAt: (path) => /^\/m\/[^/]+\/rooms/.test(path),
	},
	{
		id: "agent",
		label: t.places.agent,
		icon: Bot,
		tab: false,
		path: () => "/agent",
		isAt: (path) => /^\/agent(\/|$)/.test(path),
	},
	{
		id: "activity",
		label: t.places.activity,
		icon: Activity,
		tab: false,
		path: activityPath,
		isAt: (path) => /^\/m\/[^/]+\/activity/.test(path),
	},
	{
		id: "account",
		label: t.places.account,
		icon: CircleUser,
		tab: false,
		path: () => "/account",
		isAt: (path) => path === "/account",
	},
	{
		id: "settings",
		label: t.places.settings,
		icon: Settings,
		tab: false,
		path: () => "/settings",
		isAt: (path) => path === "/settings",
	},
];

/** The phone's last tab: every place without one of its own. */
export const more: Place = {
	id: "more",
	label: t.places.more,
	icon: Ellipsis,
	tab: true,
	path: () => "/more",
	useNews: useUnread,
	isAt: (path) => path === "/more" || places.some((place) => !place.tab && place.isAt(path)),
};
