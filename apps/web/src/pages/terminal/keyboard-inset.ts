import { useEffect } from "react";

/** iOS shrinks only the visual viewport when its keyboard opens: the page follows, so that the key bar stays in sight. */
export function useKeyboardInset(): void {
	useEffect(() => {
		const viewport = window.visualViewport;
		if (viewport === null) return;
		const apply = () =>
			document.documentElement.style.setProperty("--visible-height", `${Math.round(viewport.height)}px`);
		apply();
		viewport.addEventListener("resize", apply);
		return () => {
			viewport.removeEventListener("resize", apply);
			document.documentElement.style.removeProperty("--visible-height");
		};
	}, []);
}
