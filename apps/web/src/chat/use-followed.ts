import { useEffect, useLayoutEffect, useRef } from "react";

/** How near to its end a list still follows what is added. */
const followsWithinPx = 80;

/** Keeps the newest in sight for whoever is at the end, and leaves alone whoever scrolled up. */
export function useFollowed(messages: readonly unknown[] | undefined) {
	const list = useRef<HTMLOListElement>(null);
	const follows = useRef(true);
	useEffect(() => {
		const element = list.current;
		if (element === null) return;
		const onScroll = () => {
			follows.current = element.scrollHeight - element.scrollTop - element.clientHeight < followsWithinPx;
		};
		element.addEventListener("scroll", onScroll, { passive: true });
		return () => element.removeEventListener("scroll", onScroll);
	}, []);
	// biome-ignore lint/correctness/useExhaustiveDependencies: each new word may move the end
	useLayoutEffect(() => {
		if (follows.current) list.current?.scrollTo({ top: list.current.scrollHeight });
	}, [messages]);
	return list;
}
