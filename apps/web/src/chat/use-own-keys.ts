import { useEffect, useMemo, useReducer } from "react";
import { refreshDocuments, useDocuments } from "../api/documents.ts";
import { hub, useAccount } from "../api/hub.ts";
import { useDocumentView, useOpenDocument } from "../documents/use-open-document.ts";
import { OwnKeys } from "./own-keys.ts";

export const settingsPrefix = "settings-";

export interface OwnKeysState {
	/** Undefined until there are settings, and they are here. */
	readonly keys: OwnKeys | undefined;
	/** Makes the settings' document; keys follow. */
	create(): Promise<void>;
}

/** The person's own keys in their settings, which every device of theirs has. The oldest document counts. */
export function useOwnKeys(): OwnKeysState {
	const userId = useAccount()?.userId;
	const [, changed] = useReducer((count: number) => count + 1, 0);
	const settings = useDocuments()
		.data?.filter((each) => each.id.startsWith(settingsPrefix) && each.owner === userId)
		.sort((a, b) => a.createdAt - b.createdAt)[0]?.id;
	const document = useOpenDocument(settings);
	const ready = useDocumentView(document)?.ready === true;
	const keys = useMemo(
		() => (document === undefined || !ready ? undefined : new OwnKeys(document.doc)),
		[document, ready],
	);
	useEffect(() => {
		const doc = document?.doc;
		doc?.on("update", changed);
		return () => doc?.off("update", changed);
	}, [document]);
	return {
		keys,
		async create() {
			const body = { id: `${settingsPrefix}${crypto.randomUUID()}`, title: "Settings" };
			await hub.request("/rooms", { method: "POST", body });
			await refreshDocuments();
		},
	};
}
