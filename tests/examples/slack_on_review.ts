// Posts to Slack when a work item moves to "In Review".
export async function main(
  input: AutomationEventInput,
  variables: Record<string, string>
) {
  const projectId = input.event.project_id;
  const workItemId = input.event.entity_id;

  const item = await Plane.workItems.retrieve(workspaceSlug, projectId, workItemId);
  const listed = await Plane.states.list(workspaceSlug, projectId);
  const current = (listed.results || listed).find((state: any) => state.id === item.state);

  if (current?.name !== "In Review") {
    return { skipped: true, reason: "Not in 'In Review'" };
  }

  await Functions.postToSlack({
    webhookUrl: variables.slackWebhook,
    text: `"${item.name}" is now In Review\nProject: ${projectId}`,
  });
  return { notified: true, itemName: item.name };
}
