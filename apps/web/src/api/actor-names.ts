import { useQueries, useQuery } from "@tanstack/react-query";
import type { Names } from "./actor-name.ts";
import { hub, useAccount } from "./hub.ts";
import { type MachineId, self } from "./machine.ts";
import type { Device } from "./types.ts";
import { api, credentials } from "./warren.tsx";

const staleTime = 60_000;

/** What people call those who stand in the audit of these machines: devices, persons, machines, principals. */
export function useNames(machines: readonly MachineId[]): Names {
	const account = useAccount();
	const devices = useQueries({
		queries: machines
			.filter((machine) => credentials.get(machine) !== undefined)
			.map((machine) => ({
				queryKey: [machine, "devices"],
				queryFn: ({ signal }: { signal: AbortSignal }) =>
					api.request<{ devices: Device[] }>(machine, "/api/devices", { signal }),
				staleTime,
			})),
		combine: (answers) => answers.flatMap(({ data }) => data?.devices ?? []),
	});
	// What this person may not ask stays an identifier.
	const asked = { enabled: account !== undefined, staleTime, retry: false };
	const people = useQuery({
		...asked,
		queryKey: ["hub", "people"],
		queryFn: async ({ signal }) =>
			(await hub.request<{ people: { id: string; name: string }[] }>("/me/people", { signal })).people,
	}).data;
	const nodes = useQuery({
		...asked,
		queryKey: ["hub", "machines"],
		queryFn: async ({ signal }) =>
			(await hub.request<{ machines: { nodeId: string; name: string }[] }>("/v1/machines", { signal })).machines,
	}).data;
	const principals = useQuery({
		queryKey: [self, "principal names"],
		queryFn: async ({ signal }) =>
			(
				await api.request<{ principals: { principal_id: string; name: string }[] }>(self, "/api/backbone/principals", {
					signal,
				})
			).principals,
		enabled: credentials.get(self) !== undefined,
		staleTime,
		retry: false,
	}).data;
	return new Map([
		...(principals ?? []).map(({ principal_id: id, name }) => [id, name] as const),
		...(nodes ?? []).map(({ nodeId, name }) => [nodeId, name] as const),
		...devices.map(({ id, name }) => [id, name] as const),
		...(people ?? []).map(({ id, name }) => [id, name] as const),
		...(account === undefined ? [] : [[account.userId, account.name] as const]),
	]);
}
