import { useEffect, useRef } from "react";
import { account, useAccount } from "../api/hub.ts";
import { loadChunk } from "../chunks/load-chunk.ts";

/** The page itself comes first. Milliseconds. */
const settleMs = 800;

/** Announces this browser while the page is open and its account is signed in. */
export function useAnnounce(): void {
	const who = useAccount();
	const current = useRef(who);
	current.current = who;
	const token = who?.token;
	useEffect(() => {
		if (token === undefined) return;
		let announced: { close(): void } | undefined;
		let gone = false;
		const timer = setTimeout(() => {
			void loadChunk(() => import("./announce.ts")).then(
				({ announce }) => {
					if (gone || current.current === undefined) return;
					announced = announce(current.current, (refused) => account.drop(refused));
				},
				(failure: unknown) => console.info("warren: this browser is not announced", failure),
			);
		}, settleMs);
		return () => {
			gone = true;
			clearTimeout(timer);
			announced?.close();
		};
	}, [token]);
}
