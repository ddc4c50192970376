import { Menu as Base } from "@base-ui/react/menu";
import { Ellipsis } from "lucide-react";
import type { ReactElement, ReactNode } from "react";

const dots = (
	<button type="button" className="icon-button">
		<Ellipsis size={17} />
	</button>
);

/** @param props.trigger three dots unless told: what a row has at its end. */
export function Menu(props: {
	trigger?: ReactElement;
	label: string;
	children: ReactNode;
	align?: "start" | "end";
	onClosed?: () => void;
}) {
	return (
		<Base.Root modal={false}>
			<Base.Trigger render={props.trigger ?? dots} aria-label={props.label} />
			<Base.Portal>
				<Base.Positioner className="menu-positioner" sideOffset={6} align={props.align ?? "end"} collisionPadding={8}>
					<Base.Popup
						className="menu"
						finalFocus={props.onClosed === undefined ? true : () => (props.onClosed?.(), false)}
					>
						{props.children}
					</Base.Popup>
				</Base.Positioner>
			</Base.Portal>
		</Base.Root>
	);
}

export function MenuItem(props: {
	icon?: ReactNode;
	children: ReactNode;
	onSelect: () => void;
	danger?: boolean;
	disabled?: boolean;
	keys?: string;
	checked?: boolean;
}) {
	return (
		<Base.Item
			className={props.danger ? "menu-item danger" : "menu-item"}
			onClick={props.onSelect}
			disabled={props.disabled ?? false}
			{...(props.checked === undefined ? {} : { role: "menuitemradio", "aria-checked": props.checked })}
		>
			{props.icon}
			<span className="grow">{props.children}</span>
			{props.keys !== undefined && <span className="keys">{props.keys}</span>}
		</Base.Item>
	);
}

export const MenuSeparator = () => <Base.Separator className="menu-separator" />;
export const MenuLabel = ({ children }: { children: ReactNode }) => (
	<div className="menu-label" role="presentation">
		{children}
	</div>
);
