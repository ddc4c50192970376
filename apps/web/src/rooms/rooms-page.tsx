import { Plus } from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import type { MachineId } from "../api/machine.ts";
import { useMachineName } from "../api/warren.tsx";
import { HostChip } from "../pages/host-chip.tsx";
import { MachineError } from "../pages/machine-error.tsx";
import { Empty, Skeletons } from "../ui/states.tsx";
import { useRooms, useRoomsFeed } from "./api.ts";
import { Conversation } from "./conversation.tsx";
import { GatewayChip } from "./gateway-chip.tsx";
import { roomPath, roomsPath } from "./paths.ts";
import { NewRoom } from "./room-dialogs.tsx";
import { RoomList } from "./room-list.tsx";
import "./rooms.css";
import { t } from "./text.ts";

/** The rooms of one machine, and one of them opened: side by side on wide screens, one after the other on phones. */
export function RoomsPage({ machine, room }: { machine: MachineId; room: string | undefined }) {
	const [, navigate] = useLocation();
	const [creating, setCreating] = useState(false);
	const name = useMachineName(machine);
	const { data: rooms, error, isPending, dataUpdatedAt, refetch } = useRooms(machine);
	useRoomsFeed(machine);
	const opened = rooms?.find((each) => each.id === room);
	const newRoom = (
		<button type="button" className="button primary" onClick={() => setCreating(true)}>
			<Plus size={16} aria-hidden="true" /> {t.newRoom}
		</button>
	);
	return (
		<div className={`rooms-page ${opened !== undefined ? "opened" : rooms?.length === 0 ? "none" : ""}`}>
			<h1 className="visually-hidden">{t.title}</h1>
			<div className="rooms-side">
				<header className="page-head">
					{/* On a phone this column is gone while a room is open, and its heading must not be. */}
					<p className="rooms-title" aria-hidden="true">
						{t.title}
					</p>
					<div className="actions">{rooms !== undefined && rooms.length > 0 && newRoom}</div>
				</header>
				<HostChip machine={machine} path={roomsPath} />
				<GatewayChip machine={machine} />
				{error !== null && (
					<MachineError machine={machine} failure={error} dataAt={dataUpdatedAt} onRetry={() => void refetch()} />
				)}
				{isPending && error === null && <Skeletons count={4} height={56} label={t.loading} />}
				{rooms?.length === 0 && <Empty action={newRoom}>{t.none(name)}</Empty>}
				{rooms !== undefined && rooms.length > 0 && <RoomList machine={machine} rooms={rooms} opened={opened?.id} />}
			</div>
			<div className="rooms-main">
				{opened === undefined ? (
					rooms !== undefined && rooms.length > 0 && <p className="rooms-choose muted">{t.choose}</p>
				) : (
					<Conversation key={opened.id} machine={machine} room={opened} />
				)}
			</div>
			<NewRoom
				open={creating}
				machine={machine}
				onClose={() => setCreating(false)}
				onMade={(made) => navigate(roomPath(machine, made))}
			/>
		</div>
	);
}
