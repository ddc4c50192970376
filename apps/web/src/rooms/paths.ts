import type { MachineId } from "../api/machine.ts";

export const roomsPath = (machine: MachineId) => `/m/${encodeURIComponent(machine)}/rooms`;
export const roomPath = (machine: MachineId, room: string) => `${roomsPath(machine)}/${encodeURIComponent(room)}`;
export const apiPath = (room: string, rest = "") => `/api/rooms/${encodeURIComponent(room)}${rest}`;
