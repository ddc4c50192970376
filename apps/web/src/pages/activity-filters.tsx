import { useLocation } from "wouter";
import type { ActivityFilter } from "../api/activity.ts";
import { activityPath, type MachineId, self } from "../api/machine.ts";
import { useMachineName, usePeers } from "../api/warren.tsx";
import { t } from "./text/activity.ts";

/** What the list shows. It stands in the address, which can be kept and sent. */
export function ActivityFilters(props: {
	machine: MachineId;
	all: boolean;
	filter: ActivityFilter;
	people: readonly { readonly actor: string; readonly name: string }[];
}) {
	const { machine, all, filter, people } = props;
	const [, navigate] = useLocation();
	const own = useMachineName(self);
	const peers = usePeers().data?.peers ?? [];
	const show = (to: MachineId, wanted: ActivityFilter, whole: boolean) => {
		const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== ""));
		if (whole) query.set("machines", "all");
		navigate(`${activityPath(to)}${query.size === 0 ? "" : `?${query}`}`, { replace: true });
	};
	return (
		<fieldset className="filters">
			<legend className="visually-hidden">{t.filters}</legend>
			<label>
				{t.machine}
				<select
					className="select"
					value={all ? "all" : `at ${machine}`}
					onChange={({ target: { value } }) =>
						value === "all" ? show(self, filter, true) : show(value.slice(3), filter, false)
					}
				>
					<option value="all">{t.allMachines}</option>
					<option value={`at ${self}`}>{own}</option>
					{peers.map((peer) => (
						<option key={peer.id} value={`at ${peer.id}`}>
							{peer.name}
						</option>
					))}
				</select>
			</label>
			<label>
				{t.role}
				<select
					className="select"
					value={filter.role}
					onChange={({ target: { value } }) => show(machine, { ...filter, role: value }, all)}
				>
					<option value="">{t.allRoles}</option>
					{Object.entries(t.roles).map(([role, name]) => (
						<option key={role} value={role}>
							{name}
						</option>
					))}
				</select>
			</label>
			<label>
				{t.who}
				<select
					className="select"
					value={filter.actor}
					onChange={({ target: { value } }) => show(machine, { ...filter, actor: value }, all)}
				>
					<option value="">{t.everybody}</option>
					{people.map(({ actor, name }) => (
						<option key={actor} value={actor}>
							{name}
						</option>
					))}
				</select>
			</label>
		</fieldset>
	);
}
