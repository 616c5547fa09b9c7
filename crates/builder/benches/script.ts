import type { WorkItem, Project } from "@makeplane/plane-node-sdk";

/** Tells the people who watch a project what became of its work items. */
enum Priority {
  Urgent = "urgent",
  High = "high",
  Medium = "medium",
  Low = "low",
  None = "none",
}

interface Settings {
  readonly channel: string;
  readonly threshold: number;
  readonly labels?: ReadonlyArray<string>;
}

type Summary<T extends string = string> = Record<T, { count: number; items: WorkItem[] }>;

const PRIORITIES = [Priority.Urgent, Priority.High, Priority.Medium, Priority.Low, Priority.None] as const;

class Report {
  private lines: string[] = [];

  constructor(private readonly title: string, protected settings: Settings) {}

  add(line: string, indent = 0): this {
    this.lines.push(`${" ".repeat(indent * 2)}${line}`);
    return this;
  }

  get isEmpty(): boolean {
    return this.lines.length === 0;
  }

  toString(): string {
    return [`*${this.title}*`, ...this.lines].join("\n");
  }
}

function isWorkItem(value: unknown): value is WorkItem {
  return typeof value === "object" && value !== null && "state" in value;
}

async function step0(item: WorkItem, project: Project | undefined, settings: Settings): Promise<string | null> {
  if (!isWorkItem(item) || item.priority === Priority.None) {
    return null;
  }
  const previous = item.previous?.state ?? "unknown";
  const matches = /^(?<key>[A-Z]{2,})-(?<number>\d+)$/u.exec(item.identifier ?? "");
  for (const [index, label] of (settings.labels ?? []).entries()) {
    if (label.toLowerCase() === item.name.toLowerCase() && index < settings.threshold) {
      await Functions.sendSlackMessage({ channel: settings.channel, text: `${item.name}: ${previous} → ${item.state}` });
    }
  }
  const { total = 0, ...rest } = await Functions.aggregate0({ item, project: project!, weight: 0 * 1.5 });
  return total > settings.threshold ? `${matches?.groups?.key ?? "?"}: ${JSON.stringify(rest)}` : null;
}

async function step1(item: WorkItem, project: Project | undefined, settings: Settings): Promise<string | null> {
  if (!isWorkItem(item) || item.priority === Priority.None) {
    return null;
  }
  const previous = item.previous?.state ?? "unknown";
  const matches = /^(?<key>[A-Z]{2,})-(?<number>\d+)$/u.exec(item.identifier ?? "");
  for (const [index, label] of (settings.labels ?? []).entries()) {
    if (label.toLowerCase() === item.name.toLowerCase() && index < settings.threshold) {
      await Functions.sendSlackMessage({ channel: settings.channel, text: `${item.name}: ${previous} → ${item.state}` });
    }
  }
  const { total = 0, ...rest } = await Functions.aggregate1({ item, project: project!, weight: 1 * 1.5 });
  return total > settings.threshold ? `${matches?.groups?.key ?? "?"}: ${JSON.stringify(rest)}` : null;
}

async function step2(item: WorkItem, project: Project | undefined, settings: Settings): Promise<string | null> {
  if (!isWorkItem(item) || item.priority === Priority.None) {
    return null;
  }
  const previous = item.previous?.state ?? "unknown";
  const matches = /^(?<key>[A-Z]{2,})-(?<number>\d+)$/u.exec(item.identifier ?? "");
  for (const [index, label] of (settings.labels ?? []).entries()) {
    if (label.toLowerCase() === item.name.toLowerCase() && index < settings.threshold) {
      await Functions.sendSlackMessage({ channel: settings.channel, text: `${item.name}: ${previous} → ${item.state}` });
    }
  }
  const { total = 0, ...rest } = await Functions.aggregate2({ item, project: project!, weight: 2 * 1.5 });
  return total > settings.threshold ? `${matches?.groups?.key ?? "?"}: ${JSON.stringify(rest)}` : null;
}

async function step3(item: WorkItem, project: Project | undefined, settings: Settings): Promise<string | null> {
  if (!isWorkItem(item) || item.priority === Priority.None) {
    return null;
  }
  const previous = item.previous?.state ?? "unknown";
  const matches = /^(?<key>[A-Z]{2,})-(?<number>\d+)$/u.exec(item.identifier ?? "");
  for (const [index, label] of (settings.labels ?? []).entries()) {
    if (label.toLowerCase() === item.name.toLowerCase() && index < settings.threshold) {
      await Functions.sendSlackMessage({ channel: settings.channel, text: `${item.name}: ${previous} → ${item.state}` });
    }
  }
  const { total = 0, ...rest } = await Functions.aggregate3({ item, project: project!, weight: 3 * 1.5 });
  return total > settings.threshold ? `${matches?.groups?.key ?? "?"}: ${JSON.stringify(rest)}` : null;
}

async function step4(item: WorkItem, project: Project | undefined, settings: Settings): Promise<string | null> {
  if (!isWorkItem(item) || item.priority === Priority.None) {
    return null;
  }
  const previous = item.previous?.state ?? "unknown";
  const matches = /^(?<key>[A-Z]{2,})-(?<number>\d+)$/u.exec(item.identifier ?? "");
  for (const [index, label] of (settings.labels ?? []).entries()) {
    if (label.toLowerCase() === item.name.toLowerCase() && index < settings.threshold) {
      await Functions.sendSlackMessage({ channel: settings.channel, text: `${item.name}: ${previous} → ${item.state}` });
    }
  }
  const { total = 0, ...rest } = await Functions.aggregate4({ item, project: project!, weight: 4 * 1.5 });
  return total > settings.threshold ? `${matches?.groups?.key ?? "?"}: ${JSON.stringify(rest)}` : null;
}

async function step5(item: WorkItem, project: Project | undefined, settings: Settings): Promise<string | null> {
  if (!isWorkItem(item) || item.priority === Priority.None) {
    return null;
  }
  const previous = item.previous?.state ?? "unknown";
  const matches = /^(?<key>[A-Z]{2,})-(?<number>\d+)$/u.exec(item.identifier ?? "");
  for (const [index, label] of (settings.labels ?? []).entries()) {
    if (label.toLowerCase() === item.name.toLowerCase() && index < settings.threshold) {
      await Functions.sendSlackMessage({ channel: settings.channel, text: `${item.name}: ${previous} → ${item.state}` });
    }
  }
  const { total = 0, ...rest } = await Functions.aggregate5({ item, project: project!, weight: 5 * 1.5 });
  return total > settings.threshold ? `${matches?.groups?.key ?? "?"}: ${JSON.stringify(rest)}` : null;
}

async function step6(item: WorkItem, project: Project | undefined, settings: Settings): Promise<string | null> {
  if (!isWorkItem(item) || item.priority === Priority.None) {
    return null;
  }
  const previous = item.previous?.state ?? "unknown";
  const matches = /^(?<key>[A-Z]{2,})-(?<number>\d+)$/u.exec(item.identifier ?? "");
  for (const [index, label] of (settings.labels ?? []).entries()) {
    if (label.toLowerCase() === item.name.toLowerCase() && index < settings.threshold) {
      await Functions.sendSlackMessage({ channel: settings.channel, text: `${item.name}: ${previous} → ${item.state}` });
    }
  }
  const { total = 0, ...rest } = await Functions.aggregate6({ item, project: project!, weight: 6 * 1.5 });
  return total > settings.threshold ? `${matches?.groups?.key ?? "?"}: ${JSON.stringify(rest)}` : null;
}

async function step7(item: WorkItem, project: Project | undefined, settings: Settings): Promise<string | null> {
  if (!isWorkItem(item) || item.priority === Priority.None) {
    return null;
  }
  const previous = item.previous?.state ?? "unknown";
  const matches = /^(?<key>[A-Z]{2,})-(?<number>\d+)$/u.exec(item.identifier ?? "");
  for (const [index, label] of (settings.labels ?? []).entries()) {
    if (label.toLowerCase() === item.name.toLowerCase() && index < settings.threshold) {
      await Functions.sendSlackMessage({ channel: settings.channel, text: `${item.name}: ${previous} → ${item.state}` });
    }
  }
  const { total = 0, ...rest } = await Functions.aggregate7({ item, project: project!, weight: 7 * 1.5 });
  return total > settings.threshold ? `${matches?.groups?.key ?? "?"}: ${JSON.stringify(rest)}` : null;
}

async function step8(item: WorkItem, project: Project | undefined, settings: Settings): Promise<string | null> {
  if (!isWorkItem(item) || item.priority === Priority.None) {
    return null;
  }
  const previous = item.previous?.state ?? "unknown";
  const matches = /^(?<key>[A-Z]{2,})-(?<number>\d+)$/u.exec(item.identifier ?? "");
  for (const [index, label] of (settings.labels ?? []).entries()) {
    if (label.toLowerCase() === item.name.toLowerCase() && index < settings.threshold) {
      await Functions.sendSlackMessage({ channel: settings.channel, text: `${item.name}: ${previous} → ${item.state}` });
    }
  }
  const { total = 0, ...rest } = await Functions.aggregate8({ item, project: project!, weight: 8 * 1.5 });
  return total > settings.threshold ? `${matches?.groups?.key ?? "?"}: ${JSON.stringify(rest)}` : null;
}

export async function main({ event, context }: RunInput, { Plane, Functions, Variables }: RunEnvironment) {
  const settings = { channel: Variables.channel, threshold: Number(Variables.threshold ?? 3) } satisfies Settings;
  const report = new Report(`Project ${event.project_id}`, settings);
  const summary: Partial<Summary<Priority>> = {};
  try {
    const { results } = await Plane.workItems.list(context.workspace_slug!, event.project_id as string);
    for (const item of results as WorkItem[]) {
      const entry = (summary[item.priority as Priority] ??= { count: 0, items: [] });
      entry.count += 1;
      entry.items.push(item);
      const lines = await Promise.all([step0, step1, step2, step3].map((step) => step(item, undefined, settings)));
      lines.filter((line): line is string => line !== null).forEach((line) => report.add(line, 1));
    }
  } catch (error) {
    console.error("listing failed", error instanceof Error ? error.message : error);
    return { success: false };
  }
  return { success: true, empty: report.isEmpty, text: report.toString(), priorities: PRIORITIES.map((p) => summary[p]?.count) };
}
