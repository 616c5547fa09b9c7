// Runs when a work item changes state: how long was it in the state it left, and is that worth a word?
type State = { name: string; entered_at: string };
type Input = { event: { timestamp: string; payload: { data: { name: string }; previous_attributes: { state: State } } } };

export async function main({ event }: Input, { Functions, Variables }: any) {
  const { data, previous_attributes: previous } = event.payload;
  console.log(`"${data.name}" left ${previous.state.name}`);

  const hours = await Functions.hoursBetween({ from: previous.state.entered_at, to: event.timestamp });
  if (hours > Number(Variables.patience_hours)) {
    console.warn(`it took ${hours} hours, ${hours - Number(Variables.patience_hours)} more than we have patience for`);
  }
  return { work_item: data.name, hours, slow: hours > Number(Variables.patience_hours) };
}
