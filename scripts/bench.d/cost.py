"""Counts what happened between `begin` and `end`, and prints it per execution that ended in between.

Counts are PostgreSQL's own: pg_stat_statements, pg_stat_database, pg_stat_wal, pg_stat_user_tables, and the records of the
write-ahead log itself (pg_walinspect). Processor time is that of each process tree in /proc.
"""

import argparse
import json
import os
import subprocess
import time
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Seconds after which an idle backend of PostgreSQL has reported its counters (PGSTAT_IDLE_INTERVAL, 10 s).
REPORT_S = 11

SNAPSHOT = """
SELECT json_build_object(
    'lsn', pg_current_wal_insert_lsn(),
    'ended', (SELECT count(*) FROM script_executions WHERE finished_at IS NOT NULL),
    'transactions', (SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()),
    'wal_bytes', (SELECT wal_bytes FROM pg_stat_wal),
    'wal_full_pages', (SELECT wal_fpi FROM pg_stat_wal),
    'syncs', (SELECT wal_sync FROM pg_stat_wal),
    'tables', (SELECT json_object_agg(name, counts) FROM (
        SELECT regexp_replace(relname, '_\\d{8}$', '') AS name,
            json_build_object('inserted', sum(n_tup_ins), 'updated', sum(n_tup_upd), 'hot', sum(n_tup_hot_upd),
                'deleted', sum(n_tup_del)) AS counts
        FROM pg_stat_user_tables GROUP BY 1) AS per_table))
"""
STATEMENTS = """
SELECT json_agg(s) FROM (
    SELECT regexp_replace(query, '\\s+', ' ', 'g') AS query, calls, rows, total_exec_time AS ms, total_plan_time AS plan_ms, wal_bytes
    FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY calls DESC) AS s
"""
WAL_RECORDS = """
SELECT json_object_agg("resource_manager/record_type", count) FROM pg_get_wal_stats('{begin}', '{end}', true) WHERE count > 0
"""


def sql(url, text):
    command = ["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", url]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout.strip()


def tree_ticks(root):
    """Returns the processor time of a process, of all below it, and of those below it that have ended."""
    children, ticks = {}, {}
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else None
        except OSError:
            continue
        if fields:
            pid = int(entry.name)
            children.setdefault(int(fields[1]), []).append(pid)
            # utime, stime, and those of children that have ended.
            ticks[pid] = sum(map(int, fields[11:15]))
    total, open_pids = 0, [root]
    while open_pids:
        pid = open_pids.pop()
        total += ticks.get(pid, 0)
        open_pids += children.get(pid, [])
    return total


def backend_ticks(url):
    """Returns the processor time of each backend of PostgreSQL, by its pid, with what it is."""
    backends = json.loads(sql(url, "SELECT json_object_agg(pid, coalesce(nullif(application_name, ''), backend_type))"
                                   " FROM pg_stat_activity WHERE pid <> pg_backend_pid()"))
    ticks = {}
    for pid, name in backends.items():
        try:
            fields = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks[pid] = [name, sum(map(int, fields[11:13]))]
    return ticks


def begin(url, file, processes):
    sql(url, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; CREATE EXTENSION IF NOT EXISTS pg_walinspect; CHECKPOINT;")
    time.sleep(REPORT_S)
    sql(url, "SELECT pg_stat_statements_reset()")
    snapshot = json.loads(sql(url, SNAPSHOT))
    snapshot["backends"] = backend_ticks(url)
    snapshot["ticks"] = {name: tree_ticks(pid) for name, pid in processes.items()}
    file.write_text(json.dumps(snapshot))


def end(url, file, processes):
    before = json.loads(file.read_text())
    ticks = {name: tree_ticks(pid) - before["ticks"][name] for name, pid in processes.items()}
    backends = {}
    for pid, (name, used) in backend_ticks(url).items():
        backends[name] = backends.get(name, 0) + used - before["backends"].get(pid, [name, 0])[1]
    end_lsn = sql(url, "SELECT pg_current_wal_insert_lsn()")
    statements = json.loads(sql(url, STATEMENTS))
    time.sleep(REPORT_S)
    after = json.loads(sql(url, SNAPSHOT))
    records = json.loads(sql(url, WAL_RECORDS.format(begin=before["lsn"], end=end_lsn)))
    executions = after["ended"] - before["ended"]
    report(executions, before, after, (ticks, backends), statements, records)


def report(executions, before, after, processor_time, statements, records):
    def each(count):
        return f"{count / executions:8.2f}"

    print(f"\nper execution, of {executions}:")
    ticks, backends = processor_time
    print("\nprocessor time (ms)")
    for name, used in ticks.items():
        print(f"  {name:<34}{each(used * 1000 / TICKS_PER_S)}")
    for name, used in sorted(backends.items(), key=lambda item: -item[1]):
        if used * 1000 >= executions:
            print(f"    of PostgreSQL: {name:<17}{each(used * 1000 / TICKS_PER_S)}")
    print("\nPostgreSQL")
    for name in ("transactions", "wal_bytes", "wal_full_pages", "syncs"):
        print(f"  {name:<34}{each(after[name] - before[name])}")
    rows = hot = 0
    lines = []
    for name, counts in sorted(after["tables"].items()):
        delta = {key: value - before["tables"].get(name, {}).get(key, 0) for key, value in counts.items()}
        written = delta["inserted"] + delta["updated"] + delta["deleted"]
        rows, hot = rows + written, hot + delta["hot"]
        if written * 100 >= executions:
            lines.append(f"    {name:<32}{each(written)}   inserted {each(delta['inserted'])}"
                         f"  updated {each(delta['updated'])} (HOT {each(delta['hot'])})  deleted {each(delta['deleted'])}")
    index_writes = sum(count for record, count in records.items() if record.startswith("Btree/INSERT"))
    print(f"  {'rows written':<34}{each(rows)}", *lines, sep="\n")
    print(f"  {'HOT updates':<34}{each(hot)}\n  {'index writes':<34}{each(index_writes)}")
    print("\nstatements: calls, ms, ms of planning, bytes of log")
    for statement in statements:
        if statement["calls"] * 100 >= executions:
            print(f"  {each(statement['calls'])} {each(statement['ms'])} {each(statement['plan_ms'])} "
                  f"{each(float(statement['wal_bytes']))}  "
                  f"{statement['query'].strip()[:120]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["begin", "end"])
    parser.add_argument("--database", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("processes", nargs="+", metavar="NAME=PID")
    arguments = parser.parse_args()
    processes = {name: int(pid) for name, _, pid in (text.partition("=") for text in arguments.processes)}
    arguments.folder.mkdir(exist_ok=True)
    {"begin": begin, "end": end}[arguments.command](arguments.database, arguments.folder / "before.json", processes)


main()
