/** The library keeps several roles in one string, comma between. */
export function isAdminRole(role: string | null | undefined): boolean {
	return (role ?? "").split(",").some((each) => each === "owner" || each === "admin");
}

/** Roles that an invitation may give. */
export const invitedRoles = ["user", "admin"] as const;
