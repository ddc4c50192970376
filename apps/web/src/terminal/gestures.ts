/** Fingers on the terminal: swipe scrolls, pinch sizes the font, a long press selects. */
export interface GestureTarget {
	/** Finger moved: positive scrolls back. Called per line height of movement. */
	onScroll(lines: number): void;
	/** Font size to use, relative to the one when the pinch began. */
	onPinch(ratio: number, ended: boolean): void;
	onLongPress(): void;
	onTap(): void;
}

const longPressMs = 500;
const slopPixels = 10;
const linePixels = 18;

/** @returns its removal. */
export function watchGestures(element: HTMLElement, target: GestureTarget): () => void {
	type Gesture =
		| { kind: "none" }
		| { kind: "touch"; x: number; y: number; timer: ReturnType<typeof setTimeout> }
		| { kind: "scroll"; y: number }
		| { kind: "pinch"; distance: number; ratio: number };
	let gesture: Gesture = { kind: "none" };

	const end = () => {
		if (gesture.kind === "touch") clearTimeout(gesture.timer);
		gesture = { kind: "none" };
	};

	function onStart(event: TouchEvent) {
		if (event.touches.length === 2) {
			end();
			gesture = { kind: "pinch", distance: distanceOf(event.touches), ratio: 1 };
			return event.preventDefault();
		}
		const touch = event.touches[0];
		if (event.touches.length !== 1 || touch === undefined) return end();
		const timer = setTimeout(() => {
			gesture = { kind: "none" };
			target.onLongPress();
		}, longPressMs);
		gesture = { kind: "touch", x: touch.clientX, y: touch.clientY, timer };
	}

	function onMove(event: TouchEvent) {
		if (gesture.kind === "pinch" && event.touches.length === 2) {
			gesture.ratio = distanceOf(event.touches) / gesture.distance;
			target.onPinch(gesture.ratio, false);
			return event.preventDefault();
		}
		const touch = event.touches[0];
		if (touch === undefined) return;
		if (gesture.kind === "touch") {
			const [dx, dy] = [touch.clientX - gesture.x, touch.clientY - gesture.y];
			if (Math.hypot(dx, dy) < slopPixels) return;
			clearTimeout(gesture.timer);
			gesture = Math.abs(dy) > Math.abs(dx) ? { kind: "scroll", y: gesture.y } : { kind: "none" };
		}
		if (gesture.kind === "scroll") {
			event.preventDefault();
			const lines = Math.trunc((touch.clientY - gesture.y) / linePixels);
			if (lines === 0) return;
			gesture.y += lines * linePixels;
			target.onScroll(lines);
		}
	}

	function onEnd(event: TouchEvent) {
		if (gesture.kind === "pinch") target.onPinch(gesture.ratio, true);
		if (gesture.kind === "touch") {
			// xterm's own handling would put the focus into its textarea and open the keyboard.
			event.preventDefault();
			target.onTap();
		}
		end();
	}

	const active = { capture: true, passive: false } as const;
	element.addEventListener("touchstart", onStart, active);
	element.addEventListener("touchmove", onMove, active);
	element.addEventListener("touchend", onEnd, active);
	element.addEventListener("touchcancel", end, active);
	return () => {
		end();
		element.removeEventListener("touchstart", onStart, active);
		element.removeEventListener("touchmove", onMove, active);
		element.removeEventListener("touchend", onEnd, active);
		element.removeEventListener("touchcancel", end, active);
	};
}

function distanceOf(touches: TouchList): number {
	const [a, b] = [touches[0], touches[1]];
	return a === undefined || b === undefined ? 1 : Math.max(1, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY));
}
