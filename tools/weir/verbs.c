/* The table of verbs. Options by letter: p file, s select, o output, d dry-run, y yes, r reason, f
 * for, h shard, i sql file, l memory limit, T threads, e deep, m from, t template, w why
 * (quarantine reason), a at, c schema, q quiet, C columns of graph,
 * N tenant. */
#include "tools/weir/cli.h"

#include <string.h>

const struct verb verbs[] = {
    {"init", "Author", "[DIR]", "start a project: weir.yaml from a template or from sample records",
     "tmyo",
     "Writes weir.yaml into DIR (default: here). --from FILE reads NDJSON records and infers the "
     "columns.\nAn existing weir.yaml is not overwritten without --yes.",
     verb_init},
    {"validate", "Author", "", "read, bind and check the pipeline file; offline", "poc",
     "Checks keys, types, expressions, partitions, models and policies, and lists the columns that "
     "have a class. Needs no service: CI's verb. Exit 2 when something is wrong.\n--schema prints "
     "the JSON Schema of the pipeline file for "
     "editors.",
     verb_validate},
    {"test", "Author", "[FILE...]", "tests of models: rows given, rows expected; no service", "pso",
     "Runs tests/*.yaml beside the pipeline file, or the files named, each in a lake of its own in "
     "a temporary folder.\nExit 1 when one fails, 2 when a file is wrong. The form: "
     "docs/models.md, \"Tests\".",
     verb_test},
    {"plan", "Author", "", "what would be done: lag and windows per table, schema changes", "psoN",
     "Looks at Kafka, files and the lake; writes nothing.", verb_plan, LAKES_EACH},
    {"graph", "Author", "", "lineage as text, Mermaid, DOT, JSON or OpenLineage; offline", "psoC",
     "Sources, tables by layer, models with their mode, sinks: what reads what. --columns adds the "
     "columns, their classes, and the columns they are made of.\n-s NAME, +NAME with what it "
     "reads, NAME+ with what reads it, +NAME+ both.\n-o openlineage: a JobEvent of each table and "
     "sink, "
     "one a line.",
     verb_graph},
    {"config", "Author", "", "the merged pipeline file, secrets masked", "pN",
     "Prints what `-p a.yaml -p b.yaml` add up to.", verb_config},
    {"run", "Operate", "", "once: ingest what has arrived (the CronJob's verb)", "psofhdqN",
     "Takes what had arrived in each table's source when it began, in windows, each committed "
     "atomically; then promotes\nwhat is due, tells the sinks, and leaves.\n"
     "Started again it goes on where the table says. Finding a live run of the same table it exits "
     "0 and says whose.\n"
     "Exit: 0 done or nothing to do, 3 max_invalid or an expectation said no, 4 a person must "
     "decide, 75 try again.",
     verb_run},
    {"promote", "Operate", "TABLE", "bring a model up to date with its sources", "podbADrqWMSN",
     "Reads what changed in the sources since the last promotion, and commits what that changes, "
     "with how far it got, in one commit. `weir run` does it for every model that is due.\n"
     "With expect: the result is a candidate first; readers see it only if every check holds "
     "(exit 3 if not).\n"
     "--dry-run tells what is due and why; --what-if computes what would become of it: rows that "
     "come, go and change, checks that would fail (exit 3), what sinks would be told.",
     verb_promote, LAKES_EACH},
    {"maintain", "Operate", "[TABLE] [retain|compact|expire|sweep]",
     "upkeep by hand: what the tables' lifecycle says is due", "psodyrfN",
     "retain   rows older than lifecycle.*.retain says leave the table\n"
     "compact  small files become large ones, deletes are applied; the rows stay what they are. By "
     "name also before it is due,\n         and without lifecycle.*.compact\n"
     "expire   snapshots older than lifecycle.*.snapshots says leave the metadata; what tags, "
     "branches, promotions and sinks\n         need stays, and no file is deleted\n"
     "sweep    files that nothing reaches any more are deleted: noted by one pass, deleted by one "
     "that comes\n         lifecycle.*.sweep.grace later; with --dry-run it names them\n"
     "Without an action all of them, without a table every table. --dry-run tells what would be "
     "done. docs/upkeep.md.",
     verb_maintain, LAKES_EACH},
    {"gateway", "Operate", "", "REST in, Kafka out, spooled on disk while Kafka is away", "pfo",
     "Serves POST /v1/{source}, /healthz, /metrics and /openapi.json until SIGTERM, Ctrl-C or "
     "--for. A record is answered\nfor with 202 when it is on disk, and is sent to Kafka once, in "
     "order. Needs `gateway` in the pipeline file:\ndocs/gateway.md.",
     verb_gateway},
    {"status", "Look", "", "each table: rows, lag, last commit, refused rows", "psoN",
     "One row per table.", verb_status, LAKES_EACH},
    {"history", "Look", "TABLE", "snapshots of a table, newest first", "poN",
     "Kind, time, rows added, ranges, run and receipt of each snapshot.", verb_history, LAKES_ONE},
    {"runs", "Look", "", "runs kept in the lake, newest first", "poN",
     "What each run did to which table, and how it ended.", verb_runs, LAKES_EACH},
    {"query", "Look", "[SQL]", "SQL over the lake's tables and over files; never writes", "poqilTN",
     "PostgreSQL's grammar over tables of the lake (silver.device, bronze.inventory.snapshots, t "
     "FOR "
     "VERSION AS OF 'tag')\nand files (FROM 'data/*.parquet', .ndjson, .csv). Without SQL it reads "
     "standard "
     "input, or prompts on a terminal.\nFunctions and syntax: docs/sql.md. Exit 2: the SQL is "
     "wrong, 1: "
     "it failed.",
     verb_query, LAKES_ONE},
    {"verify", "Look", "[TABLE...]", "check receipts, offsets, counts and files of tables", "pseoN",
     "Walks the chain of receipts: digests, ranges that follow each other, landed + refused + "
     "filtered + gaps = to - from,\nfiles there with their size. --deep reads every file and "
     "compares its digest. Exit 1 when a problem is found.",
     verb_verify, LAKES_EACH},
    {"tag", "Repair", "TABLE [NAME]", "name a state of a table, so that it stays readable",
     "poadxyrN",
     "Sets tag NAME at the newest snapshot, or --at another one: expiry keeps it, and queries find "
     "it (t FOR VERSION AS OF 'NAME').\nA tag goes by --drop, or by itself when its snapshot is as "
     "old as lifecycle.*.snapshots.tags says. Without NAME: tags and branches.",
     verb_tag, LAKES_ONE},
    {"offsets", "Repair", "show|accept-gap|rebind TABLE",
     "offsets a table has reached; go on after a decision", "poyrdN",
     "show        what the table's own snapshots carry\naccept-gap  offsets that Kafka no longer "
     "has are recorded as a hole\nrebind      the topic was made anew: go on with it from its "
     "start\nThe last two need --reason and ask, or --yes.",
     verb_offsets, LAKES_EACH},
    {"quarantine", "Repair", "list|show|retry|discard [TABLE]", "refused records", "posywrdN",
     "list     tables with refused records\nshow     grouped by reason, with places; raw values "
     "masked\nretry    decode again after a mend and land what is good now\ndiscard  take them out "
     "of force (needs --reason)\n--why CODE restricts to one reason code.",
     verb_quarantine, LAKES_EACH},
    {"sinks", "Repair", "[list|dead|retry|discard|reset] [NAME] [WHICH]",
     "who is told of changes, how far, and what was refused", "posyrN",
     "list     each sink: its table, commits that wait, what was sent (the default)\n"
     "dead     changes that the receiver refused `tries` times\n"
     "retry    send these again; those that are taken are gone. One whose row was changed or "
     "deleted "
     "since is left,\n         so that it undoes nothing; retry NAME all: sent too, under its old "
     "version\n"
     "discard  drop them\n"
     "reset    NAME earliest: everything that is in the table is sent again, as inserts; NAME "
     "latest: go on "
     "behind what is there\n"
     "discard and reset ask, or --yes. `weir run` sends what is due: docs/sinks.md.",
     verb_sinks, LAKES_EACH},
    {"hold", "Law", "set|release|list [TABLE]", "rows of a table stay while a case is open",
     "pojurydN",
     "set      TABLE --case NAME --reason TEXT [--until TIME]: retention, expiry and the sweeper "
     "leave it alone\nrelease  TABLE --case NAME --reason TEXT: asks, or --yes\nlist     those "
     "that "
     "hold, are over, and were released\nA hold lives in the lake: every pipeline file finds it. "
     "weir maintain TABLE retain|expire|sweep under a hold: exit 4.",
     verb_hold, LAKES_ONE},
    {"doctor", "Trust", "", "reach and probe each service the pipeline names", "poN",
     "Kafka, store, catalog: reached, what they guarantee, clock skew; sinks: reached, let in, the "
     "place there; nothing is\nsent to them. Exit 1 if something would not work.",
     verb_doctor, LAKES_EACH},
    {"register", "Else", "TABLE", "let a second catalog know a table", "pkN",
     "--catalog FILE is laid over the pipeline file and names a REST catalog, as in\n"
     "lake: {catalog: {rest: {uri: https://host/path}}}. It is told where the table's metadata "
     "lies "
     "now; later commits\nneed the same again. Who commits there forks the table: it is for "
     "readers.",
     verb_register, LAKES_ONE},
    {"dev", "Else", "broker", "a throw-away Kafka broker in this process, for trials", "f",
     "Prints its address and its limit. Ends with Ctrl-C or after --for.", verb_dev},
    {"completion", "Else", "bash|zsh|fish", "shell completion script", "",
     "Example: weir completion bash > /etc/bash_completion.d/weir", verb_completion},
    {"version", "Else", "", "version of Weir and of what it is made with", "o", "", verb_version},
    {"help", "Else", "[VERB]", "this text, or all about one verb; `functions`: those of SQL", "",
     "", verb_help},
};
const size_t verb_count = sizeof verbs / sizeof *verbs;

const struct verb *verb_find(const char *name, size_t size)
{
    for (size_t i = 0; i < verb_count; i++)
        if (strlen(verbs[i].name) == size && memcmp(verbs[i].name, name, size) == 0)
            return &verbs[i];
    return NULL;
}
