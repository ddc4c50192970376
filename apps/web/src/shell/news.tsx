import type { MachineId } from "../api/machine.ts";

/** How much is new at a place of the navigation; nothing when nothing is. */
export function News({ machine, useNews }: { machine: MachineId; useNews: (machine: MachineId) => number }) {
	const count = useNews(machine);
	if (count === 0) return null;
	return (
		<span className="news">
			<span aria-hidden="true">{count > 99 ? "99+" : count}</span>
			<span className="visually-hidden">{count === 1 ? "1 new message" : `${count} new messages`}</span>
		</span>
	);
}
