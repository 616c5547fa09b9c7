//! Outcomes of scripts: results, errors in the author's coordinates, console lines, limits.

use super::{job, job_of, pool, raw, run, run_alone, run_cancellable, short_limits};
use builder::{Unit, build};
use serde_json::json;
use shared::{
    execution::{CodeType, ErrorCode, LogLevel},
    limits::RUN_SECRET_BYTES,
    masking::MASK,
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn main_gets_input_and_env_and_its_result_is_kept() {
    let mut job = job(
        "export async function main({ event }: { event: any }, { ENV, Variables, ...rest }: any) {
            return { type: event.type, key: ENV.KEY, greeting: Variables.greeting, own: rest.greeting, slug: workspaceSlug };
        }",
    );
    job.input = raw(r#"{"event":{"type":"created"},"context":{}}"#);
    job.variables = raw(r#"{"greeting":"hi"}"#);
    job.env.insert("KEY".to_owned(), "abc".to_owned());
    let finished = run(&pool(1).await, job).await;
    assert_eq!(
        finished.result(),
        json!({"type": "created", "key": "abc", "greeting": "hi", "own": "hi", "slug": "demo"})
    );
}

#[tokio::test]
async fn functions_are_called_by_name_and_call_each_other() {
    let mut job = job("async function main() { return await Functions.twice({ n: 4 }); }");
    for (name, code) in [
        ("twice", "async function twice({ n }) { return (await Functions.identity({ n })) * 2; }"),
        ("identity", "({ n }) => n"),
    ] {
        let report = build(Unit::Function { name, parameters: &[] }, code);
        job.functions.insert(name.to_owned(), report.build.expect("the function builds").code);
    }
    assert_eq!(run(&pool(1).await, job).await.result(), json!(8));
}

#[tokio::test]
async fn raw_code_awaits_and_returns_at_its_top_level() {
    let job = job_of(CodeType::Raw, "const three = await Promise.resolve(3);\nreturn three + 1;");
    assert_eq!(run(&pool(1).await, job).await.result(), json!(4));
}

#[tokio::test]
async fn timers_fire_in_order_and_what_is_pending_dies_with_the_run() {
    let finished = run_alone(
        "async function main() {
            const order = [];
            await new Promise(done => {
                setTimeout(() => order.push('b'), 20);
                setTimeout(() => order.push('a'), 5);
                setTimeout(done, 40);
            });
            setInterval(() => console.log('never'), 1);
            return order;
        }",
    )
    .await;
    assert_eq!(finished.result(), json!(["a", "b"]));
    assert!(finished.logs.is_empty());
}

#[tokio::test]
async fn constantly_due_timers_do_not_starve_responses() {
    let finished = run_alone(
        "async function main() {
            let spinning = true;
            const spin = () => { if (spinning) setTimeout(spin, 0); };
            spin(); spin(); spin();
            const refused = await fetch('http://nowhere.example/').catch(error => error.message);
            spinning = false;
            return refused;
        }",
    )
    .await;
    assert_eq!(finished.result(), json!("Domain not allowed: nowhere.example"));
}

#[tokio::test]
async fn console_lines_come_numbered_with_their_level() {
    let finished = run_alone(
        "function main() { console.log('one', { a: 1 }); console.warn('two'); console.error('three'); }",
    )
    .await;
    let lines: Vec<_> =
        finished.logs.iter().map(|line| (line.seq, line.level, line.message.as_str())).collect();
    assert_eq!(
        lines,
        [(1, LogLevel::Info, "one { a: 1 }"), (2, LogLevel::Warn, "two"), (3, LogLevel::Error, "three")]
    );
}

#[tokio::test]
async fn a_thrown_error_has_the_authors_coordinates() {
    let finished = run_alone(
        "interface Shape { a: number }

async function main(input: any): Promise<void> {
    const shape: Shape = { a: 1 };
    await null;
    fail(shape as any);
}
function fail(value: any) {
    throw new TypeError('no luck');
}",
    )
    .await;
    let error = finished.error();
    assert_eq!((error.code, error.message.as_str()), (ErrorCode::ScriptError, "no luck"));
    assert_eq!((error.line, error.column), (Some(9), Some(11)));
    let stack = error.stack.as_deref().unwrap_or_default();
    assert!(stack.contains("at fail (script:9:11)"), "{stack}");
    assert!(stack.contains("main (script:6:5)"), "{stack}");
}

#[tokio::test]
async fn secrets_are_masked_in_results_errors_and_lines() {
    let mut completes =
        job("function main(_, { ENV }) { console.log('token ' + ENV.TOKEN); return [ENV.TOKEN]; }");
    completes.env.insert("TOKEN".to_owned(), "s3cr3t-value".to_owned());
    let mut throws = job("function main(_, { ENV }) { throw new Error(ENV.TOKEN); }");
    throws.env.clone_from(&completes.env);
    let pool = pool(1).await;
    let finished = run(&pool, completes).await;
    assert_eq!(finished.result(), json!(["[masked]"]));
    assert_eq!(finished.messages(), ["token [masked]"]);
    let failed = run(&pool, throws).await;
    assert_eq!(failed.error().message, "[masked]");
    assert!(!failed.error().stack.as_deref().unwrap_or_default().contains("s3cr3t"));
}

#[tokio::test]
async fn a_multi_line_secret_is_masked_in_every_console_format() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQ'DE\"`$7VtQ\n-----END KEY-----\n";
    let mut job = job("function main(_, { ENV }) {
            console.log(ENV);
            console.log({ deep: { key: ENV.PEM } });
            console.group('group');
            console.log(ENV.PEM);
            console.groupEnd();
            console.table([{ key: ENV.PEM }]);
            console.error(new Error(ENV.PEM));
            return { key: ENV.PEM };
        }");
    job.env.insert("PEM".to_owned(), key.to_owned());
    let finished = run(&pool(1).await, job).await;
    assert_eq!(finished.result(), json!({ "key": "[masked]" }));
    let shown = finished.messages().join("\n");
    assert_eq!(finished.logs.len(), 6, "{shown}");
    for part in ["BEGIN", "MIIEv", "BKcw", "7VtQ", "END"] {
        assert!(!shown.contains(part), "{part} in {shown}");
    }
}

#[tokio::test]
async fn no_cut_of_v8_or_the_console_shows_a_part_of_a_secret() {
    let secret = "Xoxb-1234567890-AbCdEfGhIjKlMnOpQrStUvWxYz";
    // The console cuts within the secret. No part repeats, since repetition uses up the steps of the masking.
    let filler: Vec<_> = (0..1_662).map(|number| format!("{number:05} ")).collect();
    let long = format!("{}{secret}{}", filler.concat(), "tail ".repeat(100));
    let mut job = job("async function main(_, { ENV }) {
        const shown = [];
        for (const json of [ENV.TOKEN, `{\"a\": ${ENV.TOKEN}}`, `[1, 2, 3, 4, 5, 6, 7, 8, 9, ${ENV.TOKEN}, 1]`,
            `${'x'.repeat(40)}${ENV.TOKEN}`, `{ \"token\": \"${ENV.TOKEN}\" oops }`]) {
            try { JSON.parse(json); } catch (error) { console.error(error); shown.push(error.message, error.stack); }
        }
        console.log({ long: ENV.LONG });
        console.table([{ long: ENV.LONG, token: ENV.TOKEN }]);
        const named = { [`${'n'.repeat(980)}${ENV.TOKEN}`]() { throw new Error('named'); } };
        try { Object.values(named)[0](); } catch (error) { console.error(error); shown.push(error.stack); }
        shown.push(await fetch(`https://${ENV.TOKEN}/`).catch((error) => error.message));
        shown.push(await fetch(`https://${ENV.TOKEN}.example.com/`).catch((error) => error.message));
        throw { shown, long: ENV.LONG };
    }");
    job.env.insert("TOKEN".to_owned(), secret.to_owned());
    job.env.insert("LONG".to_owned(), long);
    let finished = run(&pool(1).await, job).await;
    let error = finished.error();
    let shown = [&finished.messages().join("\n"), &error.message, error.stack.as_deref().unwrap_or_default()];
    let shown = shown.join("\n").to_lowercase();
    assert!(shown.matches("[masked]").count() > 5 && shown.contains("more characters"), "{shown}");
    for part in secret.to_lowercase().as_bytes().windows(8) {
        let part = str::from_utf8(part).unwrap();
        assert!(!shown.contains(part), "{part} in {shown}");
    }
}

#[tokio::test]
async fn a_secret_truncated_by_the_console_is_masked() {
    let secret = (0..2_000).map(|number| format!("{number:07}")).collect::<Vec<_>>().join("-") + "-";
    let mut job = job("function main(_, { ENV }) { console.log({ long: ENV.LONG, other: 'kept' }); }");
    job.env.insert("LONG".to_owned(), secret);
    let finished = run(&pool(1).await, job).await;
    let shown = finished.messages().join("\n");
    assert!(shown.contains("[masked]") && shown.contains("6000 more characters"), "{shown}");
    assert!(shown.contains("kept") && !shown.contains("0000"), "{shown}");
}

#[tokio::test]
async fn expensive_secrets_do_not_slow_their_run_or_others() {
    let marks = "\"'\\<>{}|^%é;/?`";
    let mut hostile = job("function main(_, { ENV }) {
            console.log('x'.repeat(40_000));
            for (const value of Object.values(ENV)) console.log(value);
            return { ENV, text: JSON.stringify(ENV), url: encodeURIComponent(ENV.A) };
        }");
    for (key, seed) in ["A", "B", "C", "D", "E", "F"].iter().zip(1..) {
        let period: String = marks.chars().cycle().skip(seed).take(seed * 7).collect();
        let mut value = period.repeat(RUN_SECRET_BYTES / 6 / period.len());
        value.truncate(value.floor_char_boundary(RUN_SECRET_BYTES / 6));
        hostile.env.insert((*key).to_owned(), value);
    }
    let mut neighbour =
        job("function main(_, { ENV }) { console.log(`token ${ENV.TOKEN}`); return 'done'; }");
    neighbour.env.insert("TOKEN".to_owned(), "s3cr3t-value".to_owned());
    neighbour.workspace_slug = "other".to_owned();
    let pool = pool(2).await;
    let (hostile, neighbour) = tokio::join!(run(&pool, hostile), run(&pool, neighbour));
    assert_eq!((neighbour.result(), neighbour.messages()), (json!("done"), vec!["token [masked]"]));
    let masked = json!({ "A": MASK, "B": MASK, "C": MASK, "D": MASK, "E": MASK, "F": MASK });
    assert_eq!(hostile.result()["ENV"], masked);
    assert_eq!(hostile.result()["url"], MASK);
    let messages = hostile.messages();
    assert_eq!(messages[0], "x".repeat(40_000));
    assert!(messages[1..7].iter().all(|message| *message == MASK), "{:?}", &messages[1..]);
}

#[tokio::test]
async fn run_time_cpu_and_peak_memory_are_measured() {
    let job = job("function main() { const end = Date.now() + 61; while (Date.now() < end); return 1; }");
    let usage = run(&pool(1).await, job).await.outcome.usage;
    assert!(usage.run >= Duration::from_millis(60), "{usage:?}");
    assert!(usage.cpu >= Duration::from_millis(1), "{usage:?}");
    assert!(usage.memory_peak_bytes > 500_000, "{usage:?}");
}

#[tokio::test]
async fn an_endless_loop_times_out_and_the_last_lines_are_kept() {
    let pool = pool(1).await;
    let mut job = job("function main() { console.log('alive'); for (;;); }");
    job.limits = short_limits();
    let finished = run(&pool, job).await;
    assert_eq!(finished.error_code(), ErrorCode::Timeout);
    assert_eq!(finished.messages(), ["alive"]);
    assert!(finished.outcome.usage.run < short_limits().execution_timeout + Duration::from_secs(1));
}

#[tokio::test]
async fn an_endless_top_level_is_an_init_timeout() {
    let mut job = job("for (;;);\nfunction main() {}");
    job.limits = short_limits();
    let finished = run(&pool(1).await, job).await;
    assert_eq!(finished.error_code(), ErrorCode::InitTimeout);
}

#[tokio::test]
async fn memory_without_end_is_the_memory_limit() {
    let finished =
        run_alone("function main() { const all = []; for (;;) all.push(new Array(1000).fill(1)); }").await;
    assert_eq!(finished.error_code(), ErrorCode::MemoryLimit);
}

#[tokio::test]
async fn large_memory_comes_and_goes_outside_the_heap() {
    let finished = run_alone(
        "function main() {
            let bytes = 0;
            for (const size of [90e3, 4e6, 120e3, 9e6, 60e3, 1e6]) {
                for (let turn = 0; turn < 12; turn++) {
                    const clone = structuredClone({ text: 'é'.repeat(size), list: new Array(1000).fill(size) });
                    bytes += new TextEncoder().encode(clone.text).length;
                    console.debug(crypto.randomUUID());
                }
            }
            return bytes;
        }",
    )
    .await;
    assert_eq!(finished.result(), json!(342_480_000));
}

#[tokio::test]
async fn a_run_can_be_cancelled() {
    let pool = pool(1).await;
    let cancel = CancellationToken::new();
    let job = job(
        "async function main() { console.log('ready'); await new Promise(() => setInterval(() => {}, 10)); }",
    );
    let running = run_cancellable(&pool, job, cancel.clone());
    cancel.cancel();
    assert_eq!(running.await.error_code(), ErrorCode::Cancelled);
}

#[tokio::test]
async fn excess_log_lines_are_cut_with_a_note_and_the_run_continues() {
    let finished = run_alone(
        "function main() { for (let i = 0; i < 5000; i++) console.log('line ' + i); return 'done'; }",
    )
    .await;
    assert_eq!(finished.result(), json!("done"));
    assert_eq!(finished.logs.len(), 1_001);
    let last = finished.logs.last().expect("there are lines");
    assert!(last.message.starts_with("logs truncated"), "{last:?}");
    assert_eq!(last.level, LogLevel::Warn);
}
