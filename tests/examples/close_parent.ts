/** Completes the parent of a work item once every child of it is completed. */
export async function main(
  input: AutomationEventInput,
  variables: Record<string, string>
) {
  const { project_id: projectId, entity_id: childId } = input.event;

  const child = await Plane.workItems.retrieve(workspaceSlug, projectId, childId);
  if (!child.parent) {
    return { skipped: true, reason: "The work item has no parent" };
  }

  const listed = await Plane.states.list(workspaceSlug, projectId);
  const states = listed.results || listed;
  const groups: Record<string, string> = {};
  for (const state of states) {
    groups[state.id] = state.group;
  }
  if (groups[child.state] !== "completed") {
    return { skipped: true, reason: "The work item is still open" };
  }

  const siblings = await Functions.getSiblings({ projectId, workItemId: childId });
  const open = siblings.filter((sibling: any) => groups[sibling.state_id ?? sibling.state] !== "completed");
  if (open.length > 0) {
    return { skipped: true, reason: `${open.length} siblings are open` };
  }

  const done = states.find((state: any) => state.group === "completed");
  await Plane.workItems.update(workspaceSlug, projectId, child.parent, {
    state: done.id,
  });
  return { updated: true, parentId: child.parent, stateId: done.id };
}
