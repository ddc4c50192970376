import { useEffect, useRef, useState } from "react";
import { ErrorNotice } from "./states.tsx";

/** What a browser with a reader of its own offers (Shape Detection API); others have the system's camera, which opens links. */
interface Detector {
	detect(image: CanvasImageSource): Promise<readonly { readonly rawValue: string }[]>;
}
interface DetectorType {
	new (options: { formats: readonly string[] }): Detector;
	getSupportedFormats(): Promise<readonly string[]>;
}

/** Looks at the picture so often. */
const lookEveryMs = 200;

const detectorType = () => (globalThis as { BarcodeDetector?: DetectorType }).BarcodeDetector;

/** Whether this browser reads QR codes by itself. */
export function useCanScan(): boolean {
	const [can, setCan] = useState(false);
	useEffect(() => {
		void detectorType()
			?.getSupportedFormats()
			.then((formats) => setCan(formats.includes("qr_code") && navigator.mediaDevices !== undefined));
	}, []);
	return can;
}

/** The camera's picture, until a code is in it that is taken. The camera is off when this is gone. */
export function CodeScanner(props: { label: string; onCode: (text: string) => boolean }) {
	const video = useRef<HTMLVideoElement>(null);
	const onCode = useRef(props.onCode);
	onCode.current = props.onCode;
	const [failure, setFailure] = useState<unknown>();
	useEffect(() => {
		const ended = new AbortController();
		void scan(video.current as HTMLVideoElement, (text) => onCode.current(text), ended.signal).catch(
			(fault: unknown) => ended.signal.aborted || setFailure(fault),
		);
		return () => ended.abort();
	}, []);
	if (failure !== undefined) return <ErrorNotice failure={failure} />;
	// biome-ignore lint/a11y/useMediaCaption: it is what the camera sees
	return <video ref={video} className="scanner" aria-label={props.label} muted playsInline />;
}

/** @throws DOMException when the camera is refused or missing. */
async function scan(video: HTMLVideoElement, take: (text: string) => boolean, ended: AbortSignal): Promise<void> {
	const Reader = detectorType();
	if (Reader === undefined) return;
	const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
	const stop = () => {
		for (const track of stream.getTracks()) track.stop();
	};
	if (ended.aborted) return stop();
	ended.addEventListener("abort", stop, { once: true });
	const reader = new Reader({ formats: ["qr_code"] });
	video.srcObject = stream;
	await video.play();
	while (!ended.aborted) {
		const found = await reader.detect(video);
		if (found.some(({ rawValue }) => take(rawValue))) return stop();
		await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
	}
}
