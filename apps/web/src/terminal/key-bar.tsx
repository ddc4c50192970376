import {
	ArrowDown,
	ArrowLeft,
	ArrowRight,
	ArrowRightToLine,
	ArrowUp,
	Keyboard,
	SendHorizontal,
	TextCursorInput,
} from "lucide-react";
import { type RefObject, useEffect, useRef, useState } from "react";
import { t } from "../pages/text/terminal.ts";
import { afterKey, applyModifiers, type BarKey, type Modifiers, type Sticky, tapSticky } from "./keys.ts";
import type { TerminalControls } from "./use-terminal.ts";

interface Props {
	controls: TerminalControls;
	/** Written here, read by the terminal at each key. */
	modifiers: RefObject<Modifiers>;
	/** Set here; called when a key that the terminal took used the modifiers up. */
	used: RefObject<() => void>;
	raw: boolean;
	onRaw: (raw: boolean) => void;
	composeRef: RefObject<HTMLTextAreaElement | null>;
}

/** What a phone's keyboard lacks, and a line to type into that autocorrect cannot garble. */
export function KeyBar({ controls, modifiers, used, raw, onRaw, composeRef }: Props) {
	const [ctrl, setCtrl] = useState<Sticky>("off");
	const [alt, setAlt] = useState<Sticky>("off");
	const held: Modifiers = { ctrl: ctrl !== "off", alt: alt !== "off" };
	useEffect(() => {
		modifiers.current = { ctrl: ctrl !== "off", alt: alt !== "off" };
		used.current = () => {
			setCtrl(afterKey);
			setAlt(afterKey);
		};
	}, [ctrl, alt, modifiers, used]);

	function press(key: BarKey) {
		controls.press(key, held);
		used.current();
	}

	return (
		<div className="key-bar-stack">
			<div className="key-bar" role="toolbar" aria-label={t.keys}>
				<Key label="Esc" onPress={() => press("escape")} />
				<Key label="Tab" onPress={() => press("tab")} />
				<StickyKey label="Ctrl" state={ctrl} onTap={() => setCtrl(tapSticky)} />
				<StickyKey label="Alt" state={alt} onTap={() => setAlt(tapSticky)} />
				<Key name="Left" label={<ArrowLeft size={17} />} repeat onPress={() => press("left")} />
				<Key name="Up" label={<ArrowUp size={17} />} repeat onPress={() => press("up")} />
				<Key name="Down" label={<ArrowDown size={17} />} repeat onPress={() => press("down")} />
				<Key name="Right" label={<ArrowRight size={17} />} repeat onPress={() => press("right")} />
				<Key label="^C" name="Ctrl C" onPress={() => controls.type("\x03")} />
				<Key label="Home" onPress={() => press("home")} />
				<Key label="End" onPress={() => press("end")} />
				<Key label="PgUp" onPress={() => press("page-up")} />
				<Key label="PgDn" onPress={() => press("page-down")} />
				{["|", "/", "-", "~", "`"].map((character) => (
					<Key key={character} label={character} onPress={() => controls.type(character)} />
				))}
			</div>
			<Compose controls={controls} raw={raw} onRaw={onRaw} held={held} used={used} inputRef={composeRef} />
		</div>
	);
}

const repeatAfterMs = 380;
const repeatEveryMs = 60;

function Key(props: { label: React.ReactNode; name?: string; repeat?: boolean; onPress: () => void }) {
	const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
	const press = useRef(props.onPress);
	press.current = props.onPress;
	const stop = () => clearTimeout(timer.current);
	useEffect(() => () => clearTimeout(timer.current), []);
	function again() {
		press.current();
		timer.current = setTimeout(again, repeatEveryMs);
	}
	return (
		<button
			type="button"
			className="key"
			aria-label={props.name}
			// The keyboard must stay as it is: no focus leaves the field that has it.
			onPointerDown={(event) => {
				event.preventDefault();
				if (props.repeat) timer.current = setTimeout(again, repeatAfterMs);
			}}
			onPointerUp={stop}
			onPointerCancel={stop}
			onPointerLeave={stop}
			onClick={props.onPress}
		>
			{props.label}
		</button>
	);
}

function StickyKey({ label, state, onTap }: { label: string; state: Sticky; onTap: () => void }) {
	return (
		<button
			type="button"
			className="key sticky"
			data-state={state}
			aria-pressed={state !== "off"}
			aria-label={state === "locked" ? `${label}, locked` : label}
			onPointerDown={(event) => event.preventDefault()}
			onClick={onTap}
		>
			{label}
		</button>
	);
}

function Compose(props: {
	controls: TerminalControls;
	raw: boolean;
	onRaw: (raw: boolean) => void;
	held: Modifiers;
	used: RefObject<() => void>;
	inputRef: RefObject<HTMLTextAreaElement | null>;
}) {
	const { controls, raw, held, used, inputRef } = props;
	const [text, setText] = useState("");

	function send(enter: boolean) {
		controls.paste(text, enter);
		setText("");
	}

	function change(next: string) {
		// With Ctrl or Alt held on the bar, the next character is a key and not text.
		const added = next.length === text.length + 1 && next.startsWith(text) ? next.slice(-1) : undefined;
		if (added !== undefined && (held.ctrl || held.alt)) {
			controls.type(applyModifiers(added, held));
			used.current();
			return;
		}
		setText(next);
	}

	return (
		<div className="compose">
			<button
				type="button"
				className="icon-button"
				aria-label={raw ? t.rawOff : t.rawOn}
				aria-pressed={raw}
				onClick={() => props.onRaw(!raw)}
			>
				{raw ? <TextCursorInput size={19} /> : <Keyboard size={19} />}
			</button>
			{raw ? (
				<span className="grow small muted">{t.rawOn}</span>
			) : (
				<>
					<textarea
						ref={inputRef}
						className="textarea"
						aria-label={t.compose}
						placeholder={t.composePlaceholder}
						rows={Math.min(4, text.split("\n").length)}
						value={text}
						autoCapitalize="none"
						autoComplete="off"
						autoCorrect="off"
						spellCheck={false}
						enterKeyHint="send"
						onChange={(event) => change(event.target.value)}
						onKeyDown={(event) => {
							if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
								event.preventDefault();
								send(true);
							} else if (event.key === "Backspace" && text === "") {
								event.preventDefault();
								controls.press("backspace", held);
								used.current();
							}
						}}
					/>
					<button
						type="button"
						className="icon-button"
						aria-label={t.insert}
						disabled={text === ""}
						onPointerDown={(event) => event.preventDefault()}
						onClick={() => send(false)}
					>
						<ArrowRightToLine size={18} />
					</button>
					<button
						type="button"
						className="icon-button go"
						aria-label={t.send}
						onPointerDown={(event) => event.preventDefault()}
						onClick={() => send(true)}
					>
						<SendHorizontal size={19} />
					</button>
				</>
			)}
		</div>
	);
}
