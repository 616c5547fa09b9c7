type Check = [ok: boolean, message: string];

/** Lets a transition pass only with an assignee and an estimate. */
export async function main(
  input: WorkflowTransitionEventInput,
  variables: Record<string, string>
) {
  const item = await Plane.workItems.retrieve(
    workspaceSlug, input.event.project_id, input.event.entity_id
  );

  const checks: Check[] = [
    [(item.assignees?.length ?? 0) > 0, "at least one assignee"],
    [Boolean(item.estimate_point), "an estimate"],
  ];
  const missing: string[] = checks.filter(([ok]) => !ok).map(([, message]) => message);

  if (missing.length > 0) {
    throw new Error("Transition blocked: it needs " + missing.join(" and "));
  }
  return { allowed: true };
}
