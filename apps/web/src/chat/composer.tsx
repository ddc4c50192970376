import { Paperclip, SendHorizontal, Square, X } from "lucide-react";
import { type KeyboardEvent, useRef, useState } from "react";
import { toast } from "../ui/toast.tsx";
import { maxAttachments, readAttachment } from "./attachments.ts";
import type { Attachment } from "./conversation.ts";
import { t } from "./text.ts";

const isCoarse = matchMedia("(pointer: coarse)").matches;

/** Where a message is written. Enter sends at a keyboard; on a phone it is a line, and the button sends. */
export function Composer(props: {
	busy: boolean;
	disabled: boolean;
	/** What was sent is on its way. */
	sending?: boolean;
	textOnly?: boolean;
	/** @returns whether it was taken, where that is known: what was refused stands in the box again. */
	onSend: (text: string, attachments: readonly Attachment[]) => void | Promise<boolean>;
	onStop: () => void;
}) {
	const [text, setText] = useState("");
	const [attachments, setAttachments] = useState<readonly Attachment[]>([]);
	const files = useRef<HTMLInputElement>(null);
	const empty = text.trim() === "" && attachments.length === 0;

	async function send() {
		if (empty || props.busy || props.sending === true || props.disabled) return;
		const taken = props.onSend(text.trim(), attachments);
		setText("");
		setAttachments([]);
		if ((await taken) !== false) return;
		setText((since) => (since === "" ? text : since));
		setAttachments((since) => (since.length === 0 ? attachments : since));
	}

	function onKeyDown(event: KeyboardEvent) {
		if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing || isCoarse) return;
		event.preventDefault();
		void send();
	}

	async function attach(chosen: readonly File[]) {
		for (const file of chosen.slice(0, maxAttachments - attachments.length)) {
			const read = await readAttachment(file);
			if (read === null) toast.add({ title: t.tooLarge(file.name), type: "error" });
			else setAttachments((before) => [...before, read]);
		}
	}

	return (
		<form
			className="composer"
			onSubmit={(event) => {
				event.preventDefault();
				void send();
			}}
		>
			{attachments.length > 0 && (
				<ul className="attachments">
					{attachments.map((each, index) => (
						<li key={`${index}-${each.name}`} className="tag">
							<span className="clip">{each.name}</span>
							<button
								type="button"
								className="icon-button"
								aria-label={t.remove(each.name)}
								onClick={() => setAttachments(attachments.filter((other) => other !== each))}
							>
								<X size={13} />
							</button>
						</li>
					))}
				</ul>
			)}
			<textarea
				className="textarea"
				aria-label={t.message}
				placeholder={t.placeholder}
				rows={Math.min(8, Math.max(1, text.split("\n").length))}
				value={text}
				disabled={props.disabled}
				onChange={(event) => setText(event.target.value)}
				onKeyDown={onKeyDown}
				onPaste={(event) => {
					const pasted = [...event.clipboardData.files];
					if (pasted.length === 0 || props.textOnly === true) return;
					event.preventDefault();
					void attach(pasted);
				}}
			/>
			<div className="row">
				<input
					ref={files}
					type="file"
					multiple
					hidden
					accept="image/png,image/jpeg,image/gif,image/webp,text/*,.md,.json,.ts,.tsx,.js,.py,.rs,.go,.toml,.yaml,.yml"
					onChange={(event) => {
						void attach([...(event.target.files ?? [])]);
						event.target.value = "";
					}}
				/>
				{props.textOnly !== true && (
					<button
						type="button"
						className="icon-button"
						aria-label={t.attach}
						title={t.attach}
						disabled={props.disabled}
						onClick={() => files.current?.click()}
					>
						<Paperclip size={18} />
					</button>
				)}
				<span className="grow" />
				{props.busy ? (
					<button type="button" className="button" onClick={props.onStop}>
						<Square size={14} aria-hidden="true" /> {t.stop}
					</button>
				) : (
					<button
						type="submit"
						className="button primary"
						disabled={empty || props.sending === true || props.disabled}
						aria-busy={props.sending === true}
					>
						<SendHorizontal size={16} aria-hidden="true" /> {t.send}
					</button>
				)}
			</div>
		</form>
	);
}
