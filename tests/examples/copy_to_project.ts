enum Skip {
  OtherProject = "Not in the source project",
  OtherState = "Not in the state that is copied",
}

interface Copied {
  created: true;
  newWorkItemId: string;
}

const skipped = (reason: string) => ({ skipped: true, reason }) as const;

/** Copies a work item to another project when it reaches a state, and relates the two. */
export async function main(
  input: AutomationEventInput,
  variables: Record<string, string>
): Promise<Copied | ReturnType<typeof skipped>> {
  const sourceProjectId = variables.sourceProjectId;
  const wantedState = variables.sourceProjectStateName;
  const destinationProjectId = variables.destinationProjectId;
  const workItemId = input.event.entity_id;

  if (input.event.project_id !== sourceProjectId) return skipped(Skip.OtherProject);

  const listed = await Plane.states.list(workspaceSlug, sourceProjectId);
  const states = listed.results || listed;
  const target = states.find(
    (state: any) => state.name.toLowerCase() === wantedState.toLowerCase()
  );
  const item = await Plane.workItems.retrieve(workspaceSlug, sourceProjectId, workItemId);
  if (item.state !== target?.id) return skipped(Skip.OtherState);

  const copy = await Plane.workItems.create(workspaceSlug, destinationProjectId, {
    name: item.name,
    description_html: item.description_html,
    priority: item.priority,
  });
  await Plane.workItems.relations.create(workspaceSlug, sourceProjectId, workItemId, {
    relation_type: "relates_to",
    issues: [copy.id],
  });
  return { created: true, newWorkItemId: copy.id };
}
