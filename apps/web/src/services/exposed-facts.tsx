import { Copyable } from "../ui/copyable.tsx";
import type { MachineState } from "../ui/status-dot.tsx";
import type { Exposed } from "./services-api.ts";
import { t } from "./text.ts";

/** By the backbone, and on the private network. */
export function Addresses({ exposed: { name, kind, public: isPublic, url, overlay } }: { exposed: Exposed }) {
	return (
		<span className="addresses">
			{(kind === "tcp" || kind === "udp") && !isPublic ? (
				<Copyable text={`warren forward ${name} PORT`} label={t.forward} />
			) : (
				<Copyable text={url} label={t.address} />
			)}
			{overlay !== null && (
				<Copyable text={`${overlay.host ?? `[${overlay.address}]`}:${overlay.port}`} label={t.privateAddress} />
			)}
		</span>
	);
}

export function stateOf({ state, reason, target, port }: Exposed): {
	state: MachineState;
	word: string;
	note: string | null;
} {
	if (state !== "online") return { state: state === "stopped" ? "down" : "warn", word: t.states[state], note: reason };
	if (target === "down") return { state: "warn", word: t.silent, note: t.nothingAt(port) };
	return { state: "up", word: t.online, note: null };
}
