import { SendHorizontal } from "lucide-react";
import { type FormEvent, useState } from "react";
import type { MachineId } from "../api/machine.ts";
import type { Room } from "./api.ts";
import { say } from "./pending.ts";
import { t } from "./text.ts";

/** A phone's keyboard has no Shift-Enter: there Enter is a new line, and the button sends. */
const entersSend = !matchMedia("(pointer: coarse)").matches;

export function Composer({ machine, room }: { machine: MachineId; room: Room }) {
	const [content, setContent] = useState("");
	const ready = content.trim() !== "";
	function send(event?: FormEvent) {
		event?.preventDefault();
		if (!ready) return;
		say(machine, room.id, content.trim());
		setContent("");
	}
	return (
		<form className="composer" onSubmit={send}>
			<textarea
				className="textarea"
				aria-label={t.composer(room.name)}
				placeholder={t.composer(room.name)}
				rows={Math.min(6, content.split("\n").length)}
				maxLength={4000}
				value={content}
				onChange={(event) => setContent(event.target.value)}
				onKeyDown={(event) => {
					if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing || !entersSend) return;
					event.preventDefault();
					send();
				}}
			/>
			<button type="submit" className="icon-button send" aria-label={t.send} disabled={!ready}>
				<SendHorizontal size={18} />
			</button>
		</form>
	);
}
