import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { isMadeHere } from "../api/documents.ts";
import { account, useAccount } from "../api/hub.ts";
import { type DocumentView, OpenDocument } from "./open-document.ts";

/** A document of this account, open while the page shows it. @param id undefined opens none. */
export function useOpenDocument(id: string | undefined): OpenDocument | undefined {
	const who = useAccount();
	const token = who?.token;
	const signedIn = useRef(who);
	signedIn.current = who;
	const [opened, setOpened] = useState<OpenDocument>();
	useEffect(() => {
		if (id === undefined || token === undefined || signedIn.current === undefined) return;
		const { current } = signedIn;
		const document = new OpenDocument(id, current, isMadeHere(current.userId, id), (refused) => account.drop(refused));
		setOpened(document);
		return () => {
			setOpened(undefined);
			document.close();
		};
	}, [id, token]);
	return opened;
}

const watchNothing = () => () => {};

export function useDocumentView(document: OpenDocument | undefined): DocumentView | undefined {
	return useSyncExternalStore(
		document === undefined ? watchNothing : (watcher) => document.watch(watcher),
		() => document?.view,
	);
}
