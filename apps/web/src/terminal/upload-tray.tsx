import { Check, CircleAlert, X } from "lucide-react";
import { useRef, useState } from "react";
import type { MachineId } from "../api/machine.ts";
import { t } from "../pages/text/terminal.ts";
import { describe } from "../ui/describe.ts";
import { bytesOf } from "../ui/time.ts";
import { startUpload, type Upload } from "./upload.ts";

interface Entry {
	readonly id: number;
	readonly name: string;
	readonly size: number;
	readonly state:
		| { readonly kind: "sending"; readonly fraction: number }
		| { readonly kind: "done"; readonly path: string }
		| { readonly kind: "failed"; readonly message: string };
}

/** Files sent at once; more wait for people to send them again. */
const maxAtOnce = 8;

export function useUploads(machine: MachineId, session: string) {
	const [entries, setEntries] = useState<readonly Entry[]>([]);
	const running = useRef(new Map<number, Upload>());
	const next = useRef(0);

	const update = (id: number, state: Entry["state"]) =>
		setEntries((all) => all.map((entry) => (entry.id === id ? { ...entry, state } : entry)));

	function add(files: Iterable<File>) {
		for (const file of [...files].slice(0, maxAtOnce - running.current.size)) {
			const id = next.current++;
			setEntries((all) => [...all, { id, name: file.name, size: file.size, state: { kind: "sending", fraction: 0 } }]);
			const upload = startUpload(machine, session, file, (fraction) => update(id, { kind: "sending", fraction }));
			running.current.set(id, upload);
			upload.done
				.then(({ path }) => update(id, { kind: "done", path }))
				.catch((failure: unknown) => {
					if (failure instanceof DOMException) return remove(id);
					const { message, fix } = describe(failure);
					update(id, { kind: "failed", message: `${message} ${fix}`.trim() });
				})
				.finally(() => running.current.delete(id));
		}
	}

	function remove(id: number) {
		running.current.get(id)?.cancel();
		setEntries((all) => all.filter((entry) => entry.id !== id));
	}

	return { entries, add, remove };
}

export function UploadTray(props: {
	entries: readonly Entry[];
	onRemove: (id: number) => void;
	onInsert: (path: string) => void;
}) {
	if (props.entries.length === 0) return null;
	return (
		<ul className="uploads">
			{props.entries.map(({ id, name, size, state }) => (
				<li key={id} className="upload">
					{state.kind === "done" && <Check size={16} aria-hidden="true" />}
					{state.kind === "failed" && <CircleAlert size={16} aria-hidden="true" />}
					<div className="grow">
						<div className="clip">
							{state.kind === "sending"
								? t.uploading(name)
								: state.kind === "done"
									? t.uploaded(name)
									: t.uploadFailed(name)}
						</div>
						{state.kind === "sending" && (
							<>
								<progress value={state.fraction} max={1} aria-label={t.uploading(name)} />
								<div className="small muted">{t.uploadedOf(bytesOf(state.fraction * size), bytesOf(size))}</div>
							</>
						)}
						{state.kind === "done" && <div className="clip mono small muted">{state.path}</div>}
						{state.kind === "failed" && <div className="small muted">{state.message}</div>}
					</div>
					{state.kind === "done" && (
						<button type="button" className="toast-action" onClick={() => props.onInsert(state.path)}>
							{t.insertPath}
						</button>
					)}
					<button
						type="button"
						className="icon-button"
						aria-label={`${state.kind === "sending" ? t.cancel : t.dismiss}: ${name}`}
						onClick={() => props.onRemove(id)}
					>
						<X size={16} />
					</button>
				</li>
			))}
		</ul>
	);
}
