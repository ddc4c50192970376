import { Ellipsis, FileDown, FileUp } from "lucide-react";
import { useRef, useState } from "react";
import { useDocuments } from "../../api/documents.ts";
import { account, useAccount } from "../../api/hub.ts";
import { loadChunk } from "../../chunks/load-chunk.ts";
import { Menu, MenuItem } from "../../ui/menu.tsx";
import { toast, toastError } from "../../ui/toast.tsx";
import { t } from "../text/docs.ts";

const loadTakeAlong = () => loadChunk(() => import("../../documents/take-along.ts"));

/** All documents to a file, or from one: the way from one hub to another. */
export function TakeAlong() {
	const file = useRef<HTMLInputElement>(null);
	const { save, busy, setBusy } = useSaveDocuments();
	const who = useAccount();

	async function bring(chosen: File) {
		if (who === undefined) return;
		setBusy(true);
		try {
			const { bringDocuments } = await loadTakeAlong();
			const brought = await bringDocuments(chosen, who, (token) => account.drop(token));
			if (brought === null) toast.add({ title: t.bringBad(chosen.name), type: "error" });
			else toast.add({ title: t.brought(brought.arrived.length, brought.waiting.length), type: "success" });
		} catch (failure) {
			toastError(t.bring, failure);
		} finally {
			setBusy(false);
		}
	}

	return (
		<>
			<Menu
				label={t.allActions}
				trigger={
					<button type="button" className="icon-button" disabled={busy}>
						<Ellipsis size={18} />
					</button>
				}
			>
				<MenuItem icon={<FileDown size={16} />} onSelect={() => void save()}>
					{t.saveAll}
				</MenuItem>
				<MenuItem icon={<FileUp size={16} />} onSelect={() => file.current?.click()}>
					{t.bring}
				</MenuItem>
			</Menu>
			<input
				ref={file}
				type="file"
				accept=".json,application/json"
				hidden
				onChange={(event) => {
					const [chosen] = event.target.files ?? [];
					if (chosen !== undefined) void bring(chosen);
					event.target.value = "";
				}}
			/>
		</>
	);
}

export function useSaveDocuments() {
	const [busy, setBusy] = useState(false);
	const { data } = useDocuments();
	const who = useAccount();
	async function save() {
		if (who === undefined || data === undefined) return;
		setBusy(true);
		try {
			const { saveDocuments } = await loadTakeAlong();
			const missing = await saveDocuments(data, who);
			if (missing.length > 0) toast.add({ title: t.savedWithout(missing.join(", ")), type: "error", timeout: 9000 });
		} catch (failure) {
			toastError(t.saveAll, failure);
		} finally {
			setBusy(false);
		}
	}
	return { save, busy, setBusy };
}
