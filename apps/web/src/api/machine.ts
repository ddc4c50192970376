/**
 * Which machine a page talks to. The URL alone decides: `self` is the node that served the page, anything else is a peer
 * reached through it. Nothing here reads a stored selection.
 */
export type MachineId = string & { readonly brand?: "MachineId" };

export const self: MachineId = "self";

const peerPattern = /^[A-Za-z0-9._~-]{1,128}$/;

/** The machine of a path such as `/m/self/terminals`, or `undefined` when the path names none. */
export function machineOfPath(path: string): MachineId | undefined {
	const match = /^\/m\/([^/]+)(?:\/|$)/.exec(path);
	if (match?.[1] === undefined) return undefined;
	const id = decode(match[1]);
	return id !== undefined && peerPattern.test(id) ? id : undefined;
}

function decode(part: string): string | undefined {
	try {
		return decodeURIComponent(part);
	} catch {
		return undefined;
	}
}

/** @param path begins with `/api/` or `/ws/`. */
export function pathOn(machine: MachineId, path: string): string {
	return machine === self ? path : `/r/${encodeURIComponent(machine)}${path}`;
}

export const terminalsPath = (machine: MachineId) => `/m/${encodeURIComponent(machine)}/terminals`;
export const terminalPath = (machine: MachineId, session: string) =>
	`/m/${encodeURIComponent(machine)}/terminals/${encodeURIComponent(session)}`;
export const activityPath = (machine: MachineId) => `/m/${encodeURIComponent(machine)}/activity`;
/** Of this machine: all that the backbone knows. Of another: the ports that it exposes itself. */
export const servicesPath = (machine: MachineId) =>
	machine === self ? "/services" : `/m/${encodeURIComponent(machine)}/services`;
