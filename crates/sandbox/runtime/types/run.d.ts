// What a run hands to a script beyond the platform.

/** Plane's API client: the SDK `@makeplane/plane-node-sdk`, signed in as the workspace. */
declare const Plane: PlaneSdk.PlaneClient;

/** The workspace's environment. Values are secrets: they are masked in logs, results and errors. */
declare const ENV: Readonly<Record<string, string>>;

/** The script's variables, as configured or as the execution gives them. */
declare const Variables: Readonly<Record<string, any>>;

/** Slug of the workspace the script runs in; the first argument of most of Plane's methods. */
declare const workspaceSlug: string;

/** What triggered the run. */
interface ScriptEvent {
  event_id: string;
  event_type: string;
  entity_type: string;
  entity_id: string;
  project_id: string | null;
  workspace_id: string;
  initiator_id: string | null;
  timestamp: string | number;
  payload: { data: any; previous_attributes?: any };
}

/** Where the run comes from. */
interface ScriptContext {
  automation_id?: string;
  automation_run_id?: string;
  workflow_transition_id?: string;
  rule_id?: string;
  execution_id: string;
  script_id: string | null;
  attempt: number;
  trigger_type: 'automation' | 'workflow_transition' | 'cron' | 'test' | 'api';
  [key: string]: any;
}

/** The first argument of `main`. Scheduled runs have the script's variables as further keys. */
interface ScriptInput {
  event: ScriptEvent;
  context: ScriptContext;
  [variable: string]: any;
}

/** What an automation hands to `main`. */
interface AutomationEventInput extends ScriptInput {
  context: ScriptContext & { automation_id: string; automation_run_id: string };
}

/** What a workflow's transition hands to `main`: throw, or return `{ success: false }`, to block it. */
interface WorkflowTransitionEventInput extends ScriptInput {
  context: ScriptContext & { workflow_transition_id: string; rule_id: string };
}

/** The second argument of `main`: take it apart, or read the script's variables from it. */
interface ScriptEnv {
  readonly Plane: PlaneSdk.PlaneClient;
  readonly Functions: typeof Functions;
  readonly ENV: typeof ENV;
  readonly Variables: typeof Variables;
  readonly workspaceSlug: string;
  readonly [variable: string]: any;
}
