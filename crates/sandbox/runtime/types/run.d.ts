// Globals of a run beyond the platform.

/** Plane's API client: the SDK `@makeplane/plane-node-sdk`, signed in as the workspace. */
declare const Plane: PlaneSdk.PlaneClient;

/** The workspace's environment. Values are secrets: they are masked in logs, results and errors. */
declare const ENV: Readonly<Record<string, string>>;

/** The script's variables, as configured or as given by the execution. */
declare const Variables: Readonly<Record<string, any>>;

/** Slug of the workspace the script runs in; the first argument of most of Plane's methods. */
declare const workspaceSlug: string;

/** Event that triggered the run. */
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

/** Origin of the run. */
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

/** Input of `main` in an automation. */
interface AutomationEventInput extends ScriptInput {
  context: ScriptContext & { automation_id: string; automation_run_id: string };
}

/** Input of `main` in a workflow transition. Throw, or return `{ success: false }`, to block the transition. */
interface WorkflowTransitionEventInput extends ScriptInput {
  context: ScriptContext & { workflow_transition_id: string; rule_id: string };
}

/** The second argument of `main`. Destructure it, or read the script's variables from it. */
interface ScriptEnv {
  readonly Plane: PlaneSdk.PlaneClient;
  readonly Functions: typeof Functions;
  readonly ENV: typeof ENV;
  readonly Variables: typeof Variables;
  readonly workspaceSlug: string;
  readonly [variable: string]: any;
}
