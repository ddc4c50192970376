import {
	Check,
	CheckCheck,
	Clock,
	Inbox,
	Pencil,
	ShieldCheck,
	ShieldQuestionMark,
	Trash2,
	TriangleAlert,
} from "lucide-react";
import { useState } from "react";
import type { MachineId } from "../api/machine.ts";
import { api, queryClient } from "../api/warren.tsx";
import { useBusy } from "../ui/action-button.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { Menu, MenuItem } from "../ui/menu.tsx";
import { momentOf } from "../ui/time.ts";
import { toastError } from "../ui/toast.tsx";
import { type Message } from "./api.ts";
import { Linked } from "./linked.tsx";
import { apiPath } from "./paths.ts";
import { discard, type Pending } from "./pending.ts";
import { t } from "./text.ts";

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

export function MessageRow(props: { machine: MachineId; message: Message; follows: boolean }) {
	const { machine, message } = props;
	const [editing, setEditing] = useState(false);
	const [deleting, setDeleting] = useState(false);
	return (
		<article className={props.follows ? "message follows" : "message"} data-remote={message.from !== null}>
			{!props.follows && (
				<header>
					<span className="sender clip">{message.sender.name}</span>
					{message.from !== null && (
						<span className="tag" title={t.fromTitle(message.from.meshId)}>
							{t.from(message.from.name)}
						</span>
					)}
					{message.from !== null && (
						<span
							className="signature"
							data-signed={message.from.signed}
							role="img"
							aria-label={message.from.signed ? t.signed : t.unsigned}
							title={message.from.signed ? t.signedTitle : t.unsignedTitle}
						>
							{message.from.signed ? <ShieldCheck size={14} /> : <ShieldQuestionMark size={14} />}
						</span>
					)}
					<time
						className="faint"
						dateTime={new Date(message.createdAt).toISOString()}
						title={momentOf(message.createdAt)}
					>
						{clock.format(message.createdAt)}
					</time>
				</header>
			)}
			{editing ? (
				<EditForm machine={machine} message={message} onDone={() => setEditing(false)} />
			) : message.deletedAt !== null ? (
				<p className="content gone">{t.deleted}</p>
			) : (
				<p className="content" dir="auto">
					<Linked text={message.content} />
					{message.editedAt !== null && (
						<span className="faint edited" title={momentOf(message.editedAt)}>
							{" "}
							{t.edited}
						</span>
					)}
					<Delivery state={message.delivery} />
				</p>
			)}
			{message.mine && message.deletedAt === null && !editing && (
				<div className="message-actions">
					<Menu label={t.messageActions}>
						<MenuItem icon={<Pencil size={16} />} onSelect={() => setEditing(true)}>
							{t.edit}
						</MenuItem>
						<MenuItem icon={<Trash2 size={16} />} danger onSelect={() => setDeleting(true)}>
							{t.delete}
						</MenuItem>
					</Menu>
				</div>
			)}
			<Confirm
				open={deleting}
				onClose={() => setDeleting(false)}
				title={t.deleteTitle}
				action={t.delete}
				onConfirm={async () => {
					await api.request(machine, apiPath(message.roomId, `/messages/${message.id}`), { method: "DELETE" });
					await queryClient.invalidateQueries({ queryKey: [machine, "room-messages", message.roomId] });
				}}
			>
				{t.deleteBody}
			</Confirm>
		</article>
	);
}

/** Written here, and waiting in this browser. */
export function PendingRow({ pending }: { pending: Pending }) {
	return (
		<article className="message pending">
			<p className="content" dir="auto">
				{pending.content}
			</p>
			<p className="faint small">
				{pending.refused === undefined ? t.waitingHere : t.refused(pending.refused)}{" "}
				<button type="button" className="linklike" onClick={() => discard(pending.id)}>
					{t.discard}
				</button>
			</p>
		</article>
	);
}

function Delivery({ state }: { state: string | null }) {
	if (state === null) return null;
	const rejected = state.startsWith("rejected");
	const Icon = rejected ? TriangleAlert : (icons[state] ?? Check);
	const label = rejected ? state : (t.delivery[state] ?? state);
	return (
		<span className={rejected ? "delivery failed" : "delivery"} title={label}>
			<Icon size={13} role="img" aria-label={label} />
		</span>
	);
}

const icons: Readonly<Record<string, typeof Check>> = {
	waiting: Clock,
	queued: Inbox,
	delivered: CheckCheck,
	offline: Check,
};

function EditForm(props: { machine: MachineId; message: Message; onDone: () => void }) {
	const { machine, message, onDone } = props;
	const [busy, work] = useBusy();
	async function change(content: string) {
		try {
			await api.request(machine, apiPath(message.roomId, `/messages/${message.id}`), {
				method: "PATCH",
				body: { content },
			});
			await queryClient.invalidateQueries({ queryKey: [machine, "room-messages", message.roomId] });
			onDone();
		} catch (failure) {
			toastError(t.edit, failure);
		}
	}
	return (
		<form
			className="edit-form"
			onSubmit={(event) => {
				event.preventDefault();
				const content = String(new FormData(event.currentTarget).get("content"));
				void work(() => change(content));
			}}
		>
			<textarea
				className="textarea"
				name="content"
				aria-label={t.edit}
				defaultValue={message.content}
				rows={2}
				maxLength={4000}
				required
				onKeyDown={(event) => event.key === "Escape" && onDone()}
			/>
			<div className="row end">
				<button type="button" className="button plain" onClick={onDone}>
					{t.cancel}
				</button>
				<button type="submit" className="button primary" disabled={busy} aria-busy={busy}>
					{t.save}
				</button>
			</div>
		</form>
	);
}
