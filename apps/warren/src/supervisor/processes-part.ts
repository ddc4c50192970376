import type { ConditionKind } from "@warren/kernel";
import type { OpenPart } from "../node/role-part.ts";
import type { Processes } from "./supervised-role.ts";

const processDown: ConditionKind = {
	code: "process-down",
	severity: "error",
	title: "The {name} process is down: {message}.",
	advice: "It is started again by itself. {fix}",
	delayMs: 2_000,
};

/** The machine's other processes, as this one's `status` and health show them. */
export function processesPart(processes: Processes): OpenPart {
	return async ({ health, feed }) => {
		let before = "";
		processes.watch(() => {
			const rows = processes.rows();
			for (const { name, state, error } of rows) {
				if (state === "restarting" && error !== null)
					health.raise(processDown, { name, message: error.message.replace(/\.$/, ""), fix: error.fix }, name);
				else if (state === "running") health.clear(processDown, name);
			}
			const states = rows.map((row) => row.state).join();
			if (states !== before) feed.publish({ type: "health" });
			before = states;
		});
		return {
			name: "processes",
			routes: [],
			authenticators: [],
			peerSources: [],
			roles: () =>
				processes.rows().flatMap(({ name, state, since, pid, memoryBytes, error }) =>
					name === "private"
						? []
						: [
								{
									...{ name, since, pid, memoryBytes },
									state: state === "running" ? "running" : state === "stopped" ? "off" : "restarting",
									...(error === null ? {} : { error: error.message }),
								} as const,
							],
				),
		};
	};
}
