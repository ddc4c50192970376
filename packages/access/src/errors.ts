import { defineErrors } from "@warren/kernel";

export const accessError = defineErrors({
	bad_pin: { status: 400, fix: "Choose a PIN of 6 to 128 characters that is not the user's name." },
	bad_user: { status: 400, fix: "Use 1 to 64 letters, digits, dots, dashes or underscores." },
	setup_spent: { status: 401, fix: "Start the node again for a new link, or sign in with user and PIN." },
	unknown_device: { status: 404, fix: "The list of devices may have changed: fetch it again." },
	too_many_devices: { status: 409, fix: "Revoke a device that is no longer used." },
});
