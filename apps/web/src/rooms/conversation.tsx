import { ArrowLeft, LogOut, Search, Settings, Trash2, Users, Webhook, X } from "lucide-react";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import type { MachineId } from "../api/machine.ts";
import { api, queryClient } from "../api/warren.tsx";
import { MachineError } from "../pages/machine-error.tsx";
import { ActionButton } from "../ui/action-button.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { Menu, MenuItem } from "../ui/menu.tsx";
import { Skeletons } from "../ui/states.tsx";
import { dayOf } from "../ui/time.ts";
import { toastError } from "../ui/toast.tsx";
import { type Message, type Room, useMessages } from "./api.ts";
import { Composer } from "./composer.tsx";
import { MembersDialog } from "./members-dialog.tsx";
import { MessageRow, PendingRow } from "./message.tsx";
import { apiPath, roomsPath } from "./paths.ts";
import { usePending } from "./pending.ts";
import { RoomSettings } from "./room-dialogs.tsx";
import { SearchResults } from "./search.tsx";
import { t } from "./text.ts";
import { WebhooksDialog } from "./webhooks-dialog.tsx";

/** How near the end counts as reading along, px. */
const nearEndPx = 80;

export function Conversation({ machine, room }: { machine: MachineId; room: Room }) {
	const [searching, setSearching] = useState(false);
	return (
		<section className="conversation" aria-label={room.name}>
			<Head machine={machine} room={room} searching={searching} onSearch={() => setSearching(!searching)} />
			{searching ? <SearchResults machine={machine} room={room} /> : <Messages machine={machine} room={room} />}
			{room.joined ? <Composer machine={machine} room={room} /> : <JoinBar machine={machine} room={room} />}
		</section>
	);
}

function Head(props: { machine: MachineId; room: Room; searching: boolean; onSearch: () => void }) {
	const { machine, room } = props;
	const [, navigate] = useLocation();
	const [dialog, setDialog] = useState<"members" | "settings" | "webhooks" | "delete">();
	const close = () => setDialog(undefined);
	return (
		<header className="conversation-head">
			<Link href={roomsPath(machine)} className="icon-button only-phone" aria-label={t.back}>
				<ArrowLeft size={18} />
			</Link>
			<h2 className="clip">{room.name}</h2>
			{room.federated && <span className="tag live">{t.federated}</span>}
			{room.visibility === "private" && <span className="tag">{t.private}</span>}
			<span className="muted small members">{t.members(room.members)}</span>
			<span className="grow" />
			<button
				type="button"
				className="icon-button"
				aria-label={props.searching ? t.closeSearch : t.searchIn(room.name)}
				aria-pressed={props.searching}
				onClick={props.onSearch}
			>
				{props.searching ? <X size={17} /> : <Search size={17} />}
			</button>
			<Menu label={t.roomActions(room.name)}>
				<MenuItem icon={<Users size={16} />} onSelect={() => setDialog("members")}>
					{t.membersOf}
				</MenuItem>
				<MenuItem icon={<Settings size={16} />} onSelect={() => setDialog("settings")}>
					{t.settings}
				</MenuItem>
				<MenuItem icon={<Webhook size={16} />} onSelect={() => setDialog("webhooks")}>
					{t.webhooks}
				</MenuItem>
				{room.joined && (
					<MenuItem icon={<LogOut size={16} />} onSelect={() => void leave(machine, room)}>
						{t.leave}
					</MenuItem>
				)}
				<MenuItem icon={<Trash2 size={16} />} danger onSelect={() => setDialog("delete")}>
					{t.deleteRoom}
				</MenuItem>
			</Menu>
			<MembersDialog open={dialog === "members"} machine={machine} room={room} onClose={close} />
			<RoomSettings open={dialog === "settings"} machine={machine} room={room} onClose={close} />
			<WebhooksDialog open={dialog === "webhooks"} machine={machine} room={room} onClose={close} />
			<Confirm
				open={dialog === "delete"}
				onClose={close}
				title={t.deleteRoomTitle(room.name)}
				action={t.deleteRoom}
				onConfirm={async () => {
					await api.request(machine, apiPath(room.id), { method: "DELETE" });
					await queryClient.invalidateQueries({ queryKey: [machine, "rooms"] });
					navigate(roomsPath(machine));
				}}
			>
				{t.deleteRoomBody}
			</Confirm>
		</header>
	);
}

function Messages({ machine, room }: { machine: MachineId; room: Room }) {
	const query = useMessages(machine, room.id);
	const pending = usePending(machine, room.id);
	const scroller = useRef<HTMLDivElement>(null);
	const followsEnd = useRef(true);
	const messages = query.data?.pages.toReversed().flatMap((page) => page.messages) ?? [];
	const shown = new Set(messages.map((message) => message.id));
	const waiting = pending.filter((each) => !shown.has(each.id));
	const lastSeq = messages.at(-1)?.seq;
	useLayoutEffect(() => {
		const element = scroller.current;
		if (element !== null && followsEnd.current) element.scrollTop = element.scrollHeight;
	});
	useMarkRead(machine, room, lastSeq);
	return (
		// biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
		<div
			className="messages"
			ref={scroller}
			tabIndex={0}
			role="log"
			aria-label={room.name}
			onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
				followsEnd.current = scrollHeight - scrollTop - clientHeight < nearEndPx;
			}}
		>
			{query.error !== null && (
				<MachineError
					machine={machine}
					failure={query.error}
					dataAt={query.dataUpdatedAt}
					onRetry={() => void query.refetch()}
				/>
			)}
			{query.isPending && query.error === null && <Skeletons count={5} height={44} label={t.loadingMessages} />}
			{query.hasNextPage && (
				<button
					type="button"
					className="button earlier"
					disabled={query.isFetchingNextPage}
					onClick={() => void query.fetchNextPage()}
				>
					{t.earlier}
				</button>
			)}
			{query.data !== undefined && messages.length + waiting.length === 0 && (
				<p className="muted rooms-choose">{t.silent}</p>
			)}
			<ol>
				{messages.map((message, index) => (
					<Dated key={message.id} message={message} before={messages[index - 1]}>
						<MessageRow machine={machine} message={message} follows={follows(message, messages[index - 1])} />
					</Dated>
				))}
				{waiting.map((each) => (
					<li key={each.id}>
						<PendingRow pending={each} />
					</li>
				))}
			</ol>
		</div>
	);
}

function Dated(props: { message: Message; before: Message | undefined; children: React.ReactNode }) {
	const day = dayOf(props.message.createdAt);
	const isNew = props.before === undefined || dayOf(props.before.createdAt) !== day;
	return (
		<li>
			{isNew && <p className="day">{day}</p>}
			{props.children}
		</li>
	);
}

/** Within five minutes of the same sender: said in one breath. */
function follows(message: Message, before: Message | undefined): boolean {
	return (
		before !== undefined &&
		before.sender.id === message.sender.id &&
		before.sender.name === message.sender.name &&
		message.createdAt - before.createdAt < 300_000 &&
		dayOf(before.createdAt) === dayOf(message.createdAt)
	);
}

/** What is in sight has been read, on every device of this person. */
function useMarkRead(machine: MachineId, room: Room, seq: number | undefined): void {
	const { id, joined, unread } = room;
	useEffect(() => {
		if (seq === undefined || !joined || unread === 0) return;
		const mark = () => {
			if (document.visibilityState !== "visible") return;
			api
				.request(machine, apiPath(id, "/read"), { method: "PUT", body: { seq } })
				.then(() => queryClient.invalidateQueries({ queryKey: [machine, "rooms"] }))
				// Not worth a word: it is marked with the next message.
				.catch(() => undefined);
		};
		mark();
		document.addEventListener("visibilitychange", mark);
		return () => document.removeEventListener("visibilitychange", mark);
	}, [machine, id, joined, unread, seq]);
}

function JoinBar({ machine, room }: { machine: MachineId; room: Room }) {
	return (
		<div className="composer join-bar">
			<span className="muted grow">{t.joinLead}</span>
			<ActionButton className="button primary" act={() => join(machine, room)}>
				{t.join}
			</ActionButton>
		</div>
	);
}

async function join(machine: MachineId, room: Room): Promise<void> {
	await change(machine, room, "join");
}

async function leave(machine: MachineId, room: Room): Promise<void> {
	await change(machine, room, "leave");
}

async function change(machine: MachineId, room: Room, what: "join" | "leave"): Promise<void> {
	try {
		await api.request(machine, apiPath(room.id, `/${what}`), { method: "POST" });
		await queryClient.invalidateQueries({ queryKey: [machine, "rooms"] });
	} catch (failure) {
		toastError(room.name, failure);
	}
}
