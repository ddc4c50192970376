import { Globe, Hash, Lock } from "lucide-react";
import { Link } from "wouter";
import type { MachineId } from "../api/machine.ts";
import { agoOf } from "../ui/time.ts";
import { type Room } from "./api.ts";
import { roomPath } from "./paths.ts";
import { t } from "./text.ts";

export function RoomList(props: { machine: MachineId; rooms: readonly Room[]; opened: string | undefined }) {
	return (
		<nav aria-label={t.list}>
			<ul className="room-list">
				{props.rooms.map((room) => (
					<li key={room.id}>
						<Link
							href={roomPath(props.machine, room.id)}
							className="room-link"
							aria-current={room.id === props.opened ? "page" : undefined}
						>
							<RoomIcon room={room} />
							<span className="room-name clip">{room.name}</span>
							{room.unread > 0 && (
								<span className="room-unread">
									<span aria-hidden="true">{room.unread > 99 ? "99+" : room.unread}</span>
									<span className="visually-hidden">{t.unread(room.unread)}</span>
								</span>
							)}
							<span className="room-last clip">
								{room.last === null ? t.silent : `${room.last.sender.name}: ${room.last.content}`}
							</span>
							{room.last !== null && <span className="room-when">{agoOf(room.last.createdAt)}</span>}
						</Link>
					</li>
				))}
			</ul>
		</nav>
	);
}

function RoomIcon({ room }: { room: Room }) {
	const Icon = room.federated ? Globe : room.visibility === "private" ? Lock : Hash;
	const label = room.federated ? t.federated : room.visibility === "private" ? t.private : undefined;
	return (
		<Icon
			size={16}
			role={label === undefined ? undefined : "img"}
			aria-label={label}
			aria-hidden={label === undefined}
		/>
	);
}
