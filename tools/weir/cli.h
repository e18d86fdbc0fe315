/* The command line: one table of verbs, one of options; help, completion and docs/cli.md come from
 * them. */
#ifndef WEIR_TOOLS_WEIR_CLI_H
#define WEIR_TOOLS_WEIR_CLI_H

#include "scheduler/promote/openlineage.h"
#include "scheduler/promote/promote.h"
#include "scheduler/sink/sink.h"
#include "scheduler/window/window.h"

enum output_format {
    OUTPUT_TABLE,
    OUTPUT_JSON,
    OUTPUT_NDJSON,
    OUTPUT_CSV,
    OUTPUT_MARKDOWN,
    OUTPUT_PARQUET,
    OUTPUT_MERMAID, /* of graph only, as the two below */
    OUTPUT_DOT,
    OUTPUT_OPENLINEAGE
};

#define CLI_FILES_MAX     16
#define CLI_ARGUMENTS_MAX 64
#define CLI_TENANTS_MAX   64
#define CLI_REAL          JSON_REAL_PRECISION(15) /* 0.056 and not 0.056000000000000001 */

struct cli {
    struct weir_context *context;
    const struct verb *verb;
    const char *files[CLI_FILES_MAX]; /* -p */
    size_t file_count;
    const char *select;        /* -s */
    enum output_format output; /* -o */
    bool output_given;
    bool columns;                     /* of graph */
    struct weir_graph *graph;         /* of run: kept between promotions */
    struct weir_openlineage *lineage; /* of run: who is told of it; NULL: nobody */
    bool dry_run, yes, deep, schema, quiet, rebuild, accept, discard, drop;
    const char *reason, *from, *template_name, *why, *at;
    int64_t for_ms;
    int shard_index, shard_count;
    bool what_if;
    const char *model_file;   /* --model */
    const char *catalog_file; /* --catalog */
    int64_t since_ms;
    const char *case_name, *until; /* --case, --until */
    const char *sql_file;
    int64_t statement_start_ms; /* of query's progress bar */
    bool bar_shown;
    bool reader_left; /* of standard output: nobody wants the rest */
    uint64_t memory_limit;
    int threads;
    const char *arguments[CLI_ARGUMENTS_MAX];
    size_t argument_count;
    const char *tenants[CLI_TENANTS_MAX]; /* --tenant, as given */
    size_t tenant_count;
    struct weir_pipeline *lake_now; /* a verb that is run for several lakes: this one's */
    json_t *gathered;               /* rows of all of them, shown at the end; NULL: at once */
    const char *gathered_columns[24];
};

/* What a verb does where the pipeline has a lake for each tenant. */
enum verb_lakes {
    LAKES_NONE, /* the pipeline file alone, or all lakes by itself; --tenant may name one */
    LAKES_ONE,  /* one, named by --tenant */
    LAKES_EACH, /* those that --tenant names; all, if it only looks */
};

struct verb {
    const char *name, *group, *arguments, *summary;
    const char *options; /* letters of the options it takes: see options[] in options.c */
    const char *help;
    weir_status (*run)(struct cli *cli, struct weir_error *reterr);
    enum verb_lakes lakes;
};

extern const struct verb verbs[];
extern const size_t verb_count;
const struct verb *verb_find(const char *name, size_t size);

/* USAGE with what was wrong and what is known. argv[1] is the verb. */
weir_status cli_parse(struct cli *cli, int argc, char **argv,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
void cli_help(const struct verb *verb); /* NULL: all verbs */

/* Pipeline file of -p (default weir.yaml); errors of the file go to stderr. */
weir_status cli_pipeline(struct cli *cli, struct weir_pipeline **ret_pipeline,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
/* lakes.c: the verb, for each lake it is for; a lake that fails does not keep others from their
 * turn, and the worst failure is returned (cli_worse). */
weir_status cli_run(struct cli *cli, struct weir_error *reterr) WEIR_MUST_CHECK;
/* The one lake that --tenant names; USAGE that lists them when it names none, or several. */
weir_status cli_one_lake(const struct cli *cli, struct weir_pipeline *pipeline,
                         struct weir_pipeline **ret_lake,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
/* Does --tenant (none: all) name this one? */
bool cli_tenant_chosen(const struct cli *cli, const char *tenant);
/* USAGE when --tenant names one that there is not. */
weir_status cli_check_tenants(const struct cli *cli, const struct weir_pipeline *pipeline,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* Is a worse than b? A wish to stop, then exit codes 4, 3, 2, 1, 75, 0: what waits for a person
 * before what mends itself. */
bool cli_worse(weir_status a, weir_status b);
/* weir run over the lakes of several tenants. */
weir_status cli_run_tenants(struct cli *cli, struct weir_pipeline *pipeline,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* Does `select` (NULL: all) choose this table? names, globs, layer:NAME, separated by commas or
 * spaces. */
bool cli_selected(const struct cli *cli, const char *table);
/* USAGE when the selection names nothing there is. */
weir_status cli_check_selection(const struct cli *cli, const struct weir_pipeline *pipeline,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* The one table that a verb's first argument names. */
weir_status cli_table(struct cli *cli, const struct weir_pipeline *pipeline,
                      const struct weir_table_config **ret_table,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
/* Asks "... [y/N]" on a terminal; --yes answers; without either USAGE. */
weir_status cli_confirm(struct cli *cli, const char *question,
                        struct weir_error *reterr) WEIR_MUST_CHECK;

/* Prints rows (an array of flat objects) in the asked form; columns NULL = the first row's keys. */
weir_status cli_rows(struct cli *cli, const json_t *rows, const char *const *columns,
                     struct weir_error *reterr) WEIR_MUST_CHECK;
/* One object: as JSON, or as "key  value" lines. */
void cli_object(const struct cli *cli, const json_t *object);

/* One model, under its lease: promoted, or planned with --dry-run, or its candidate decided upon.
 */
weir_status cli_promote(struct cli *cli, struct weir_lake *lake,
                        const struct weir_pipeline *pipeline, const struct weir_model_config *model,
                        json_t **ret_outcome, struct weir_error *reterr) WEIR_MUST_CHECK;
void cli_print_promotion(const json_t *outcome);
/* promote --what-if of one model. */
weir_status cli_what_if(struct cli *cli, const struct weir_pipeline *pipeline, size_t model,
                        struct weir_error *reterr) WEIR_MUST_CHECK;

/* What the chosen sinks have not been told yet; outcomes are appended to the record's "sinks". The
 * last failure is returned, after the others have been served. */
weir_status cli_deliver(struct cli *cli, struct weir_lake *lake,
                        const struct weir_pipeline *pipeline, json_t *record,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
void cli_print_delivery(const json_t *outcome);
/* Of a run: upkeep that is due, in what is left of its time; outcomes are appended to the record's
 * "upkeep". */
weir_status cli_upkeep(struct cli *cli, struct weir_lake *lake,
                       const struct weir_pipeline *pipeline, json_t *record,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
/* What upkeep would find to do in a table that has rules for it: "upkeep": outcomes of a dry run,
 * "debt": the same in words, "oldest": the time of its oldest row. Added to the row. */
weir_status cli_debt(struct cli *cli, struct weir_lake *lake, const struct weir_pipeline *pipeline,
                     const struct weir_table_config *table, json_t *row,
                     struct weir_error *reterr) WEIR_MUST_CHECK;
/* One outcome of scheduler/upkeep in a line. */
void cli_print_upkeep(const json_t *outcome, bool dry_run);
/* One row a sink, of those chosen: where it stands. New reference. */
weir_status cli_sink_states(struct cli *cli, struct weir_lake *lake,
                            const struct weir_pipeline *pipeline, json_t **ret_states,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

weir_status verb_init(struct cli *cli, struct weir_error *reterr);
weir_status verb_validate(struct cli *cli, struct weir_error *reterr);
weir_status verb_graph(struct cli *cli, struct weir_error *reterr);
weir_status verb_config(struct cli *cli, struct weir_error *reterr);
weir_status verb_plan(struct cli *cli, struct weir_error *reterr);
weir_status verb_run(struct cli *cli, struct weir_error *reterr);
weir_status verb_promote(struct cli *cli, struct weir_error *reterr);
weir_status verb_test(struct cli *cli, struct weir_error *reterr);
weir_status verb_status(struct cli *cli, struct weir_error *reterr);
weir_status verb_query(struct cli *cli, struct weir_error *reterr);
weir_status verb_history(struct cli *cli, struct weir_error *reterr);
weir_status verb_runs(struct cli *cli, struct weir_error *reterr);
weir_status verb_verify(struct cli *cli, struct weir_error *reterr);
weir_status verb_offsets(struct cli *cli, struct weir_error *reterr);
weir_status verb_quarantine(struct cli *cli, struct weir_error *reterr);
weir_status verb_sinks(struct cli *cli, struct weir_error *reterr);
weir_status verb_hold(struct cli *cli, struct weir_error *reterr);
weir_status verb_tag(struct cli *cli, struct weir_error *reterr);
weir_status verb_maintain(struct cli *cli, struct weir_error *reterr);
weir_status verb_gateway(struct cli *cli, struct weir_error *reterr);
weir_status verb_doctor(struct cli *cli, struct weir_error *reterr);
weir_status verb_register(struct cli *cli, struct weir_error *reterr);
weir_status verb_dev(struct cli *cli, struct weir_error *reterr);
weir_status verb_completion(struct cli *cli, struct weir_error *reterr);
weir_status verb_version(struct cli *cli, struct weir_error *reterr);
weir_status verb_help(struct cli *cli, struct weir_error *reterr);

#endif
