import { ChevronsUpDown, Server } from "lucide-react";
import { useLocation } from "wouter";
import { type MachineId, self, terminalsPath } from "../api/machine.ts";
import { skewOf } from "../api/version.ts";
import { useFeedState, useMachineName, useMe, usePeers, useRoundTripMs } from "../api/warren.tsx";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "../ui/menu.tsx";
import { type MachineState, StatusDot } from "../ui/status-dot.tsx";
import { millisecondsOf } from "../ui/time.ts";
import { t } from "./text/terminals.ts";

/**
 * Which machine this page is about, how it is reached and how far it is; opens the list of the others.
 * @param props.path where another machine's same page is.
 */
export function HostChip({ machine, path = terminalsPath }: { machine: MachineId; path?: (id: MachineId) => string }) {
	const [, navigate] = useLocation();
	const name = useMachineName(machine);
	const via = useMachineName(self);
	const peers = usePeers().data;
	const version = useMe(machine).data?.node.version ?? peers?.peers.find((peer) => peer.id === machine)?.version;
	const feed = useFeedState(machine);
	const rtt = useRoundTripMs(machine);
	const state: MachineState = feed === "live" ? "up" : feed === "waiting" || feed === "refused" ? "down" : "unknown";
	const word = state === "up" ? t.connected : state === "down" ? t.away : t.connecting;

	return (
		<div className="host">
			<Menu
				align="start"
				label={t.host(name)}
				trigger={
					<button type="button" className="host-chip">
						<span className="host-name clip">{name}</span>
						<ChevronsUpDown size={15} aria-hidden="true" />
					</button>
				}
			>
				<MenuLabel>{t.machines}</MenuLabel>
				<MenuItem
					icon={<Server size={16} />}
					checked={machine === self}
					onSelect={() => navigate(path(self))}
					keys={t.direct}
				>
					{via}
				</MenuItem>
				{peers?.peers.map((peer) => (
					<MenuItem
						key={peer.id}
						icon={<Server size={16} />}
						checked={machine === peer.id}
						onSelect={() => navigate(path(peer.id))}
						keys={peer.reachable ? (peer.rttMs === undefined ? "" : millisecondsOf(peer.rttMs)) : t.away}
					>
						{peer.name}
					</MenuItem>
				))}
				<MenuSeparator />
				<MenuItem onSelect={() => navigate("/machines")}>{t.allMachines}</MenuItem>
			</Menu>
			<div className="host-facts">
				<StatusDot state={state}>{word}</StatusDot>
				<span className="fact rtt">{rtt === undefined ? "–" : millisecondsOf(rtt)}</span>
				<span className="fact">{machine === self ? t.direct : t.relayed(via)}</span>
				{skewOf(version, __WARREN_VERSION__) === "older" && (
					<span className="tag warn" title={`${t.olderTitle(name, version ?? "", __WARREN_VERSION__)}. ${t.olderFix}`}>
						{t.older(version ?? "")}
					</span>
				)}
			</div>
		</div>
	);
}
